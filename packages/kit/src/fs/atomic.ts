/**
 * fs/: files that survive a crash. `atomic.ts` replaces a file as a whole, `lock-file.ts` keeps two processes from one
 * state directory. Nothing here knows what the files mean.
 */
import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { diskError } from '../error/disk-error.ts';
import { systemCode } from '../error/to-problem.ts';

export interface AtomicOptions {
  /** Default 0600. Set on the new file before it gets its name. */
  mode?: number;
}

/**
 * Replaces the file or leaves the old one as it was; after it resolves the new content survives a power cut.
 * Temporary file in the same folder, fsync, rename, fsync of the folder. Errors: PXM_DISK_FULL, PXM_DISK_FAILED.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: AtomicOptions = {},
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(data);
      await file.chmod(options.mode ?? 0o600);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw diskError(error, path) ?? error;
  }
  await syncFolder(folder);
}

/** What writers that were killed left in a folder. Only where no other process writes. */
export async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    // Of this file's writer, and of the lock file beside it.
    if (/.\.[0-9a-f]{12}\.(?:tmp|stale)$/.test(name)) await rm(join(folder, name), { force: true });
  }
}

/** Makes renames and removals in a folder durable. Errors: PXM_DISK_FAILED. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // FUSE file systems (pmxcfs) may refuse fsync on folders; the rename itself has happened.
    const code = systemCode(error);
    if (code !== 'EINVAL' && code !== 'ENOSYS' && code !== 'ENOTSUP') throw diskError(error, folder) ?? error;
  } finally {
    await handle.close();
  }
}
