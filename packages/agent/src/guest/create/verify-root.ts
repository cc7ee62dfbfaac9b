import { lstat } from 'node:fs/promises';
import { messageOf } from '@pxmgr/kit/error/chain';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { isAbsent } from '../../host/paths.ts';
import type { SampledFile } from '../../image/content-sample.ts';
import { placeOf } from '../volume-place.ts';
import type { VolumeParts } from '../volumes.ts';

/** Whether a new root file system has the files that its image has. */
export type RootFinding =
  | { readonly kind: 'complete' }
  | { readonly kind: 'incomplete'; readonly difference: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Size of a regular file; undefined when there is none. */
type SizeOf = (path: string) => Promise<number | undefined> | number | undefined;

/**
 * Looks for the files in the volume, without mounting it. An extraction that was killed (for want of memory, say) ends
 * as a task that is OK with a cut-off root file system.
 */
export async function checkRootFiles(
  parts: VolumeParts,
  volumeId: string,
  files: readonly SampledFile[],
): Promise<RootFinding> {
  const place = await placeOf(parts, volumeId);
  if (place.kind === 'unknown') return place;
  if (place.kind === 'folder') return await compare(files, (path) => sizeInFolder(`${place.path}/${path}`));
  try {
    const sizes = await sizesOnDevice(parts, place.path, files);
    return await compare(files, (path) => sizes.get(path));
  } catch (error) {
    return { kind: 'unknown', reason: messageOf(error) };
  }
}

/**
 * tar's last line (`--totals` in proxmox/pve-container src/PVE/LXC/Create.pm): missing when it was killed, which the
 * task does not notice. Gives the difference as text.
 */
export function unfinishedExtraction({ stdout, truncated }: CommandResult): string | undefined {
  if (truncated || !/^extracting archive /m.test(stdout) || /^Total bytes read: /m.test(stdout)) return undefined;
  return 'the template was not unpacked to its end';
}

async function compare(files: readonly SampledFile[], sizeOf: SizeOf): Promise<RootFinding> {
  const wrong: string[] = [];
  for (const { path, bytes } of files) if ((await sizeOf(path)) !== bytes) wrong.push(`/${path}`);
  if (wrong.length === 0) return { kind: 'complete' };
  const difference = `its root file system is incomplete: ${wrong.length} of ${files.length} files looked at are missing or have another size, such as ${wrong.at(-1) ?? ''}`;
  return { kind: 'incomplete', difference };
}

/** The image's own links may lead out of the folder: then only a size of the host is seen, and nothing is opened. */
async function sizeInFolder(path: string): Promise<number | undefined> {
  try {
    const found = await lstat(path);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** debugfs(8) reads ext4 without mounting it. The paths are plain: the sample holds no others. */
async function sizesOnDevice(
  parts: VolumeParts,
  device: string,
  files: readonly SampledFile[],
): Promise<Map<string, number>> {
  const result = await parts.run({
    file: 'debugfs',
    args: ['-f', '-', device],
    stdin: files.map(({ path }) => `stat "/${path}"\n`).join(''),
    purpose: 'look for files of the image in the new root file system',
    timeoutMs: 60_000,
    readOnly: true,
  });
  // It ends with 0 whatever happened.
  const failure = /^(?:debugfs: )?.*(?:while (?:trying to open|opening).*|Filesystem not open)$/m.exec(
    result.stderr,
  )?.[0];
  if (failure !== undefined || result.truncated || result.exitCode !== 0)
    throw new Error(`debugfs cannot read ${device}: ${failure ?? 'too much output'}`);
  return parseStats(result.stdout);
}

/** Echoed commands, each followed by what it prints; only regular files count. */
export function parseStats(text: string): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const part of text.split(/^debugfs: stat /m)) {
    const path = /^"\/([^"\n]+)"/.exec(part)?.[1];
    const size = /^User:.* Size: (\d+)$/m.exec(part)?.[1];
    if (path !== undefined && size !== undefined && /^Inode: .*Type: regular /m.test(part))
      sizes.set(path, Number(size));
  }
  return sizes;
}
