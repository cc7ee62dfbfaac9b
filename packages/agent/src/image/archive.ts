import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ImageReference, limits } from '@pxmgr/contract';
import { diskError } from '@pxmgr/kit/error/disk-error';
import { extract, type Pack, pack } from 'tar-stream';
import { hexOf } from './blob-cache.ts';
import { type Descriptor, Index, OCI_MANIFEST } from './oci-types.ts';
import { HashTap } from './unpack.ts';
import type { BlobSource } from './verify.ts';

/**
 * The archive file that `pct create` takes: `oci-layout`, `index.json` and `blobs/...` and nothing else, which is how
 * Proxmox tells an OCI archive from a root file system (proxmox/pve-container src/PVE/LXC/Create.pm). Written by us
 * from the verified blobs: one copy, one manifest, digests checked while they pass.
 */
export interface ArchiveContent {
  readonly blobs: BlobSource;
  readonly manifest: Descriptor;
  /** Configuration and layers. */
  readonly parts: readonly Descriptor[];
}

/** `<last part of the repository>_<tag>-<arch>-<12 of digest>.tar`; unique per digest, readable for people. */
export function archiveName(reference: ImageReference, architecture: string, digest: string): string {
  const last = reference.path.split('/').at(-1) ?? 'image';
  const tag = reference.tag === '' ? 'digest' : reference.tag;
  const tail = `-${architecture}-${hexOf(digest).slice(0, 12)}.tar`;
  // The whole volume id, "storage:vztmpl/name", is at most 255 characters.
  const room = limits.VOLUME_ID_MAX - limits.STORAGE_ID_MAX - ':vztmpl/'.length - tail.length;
  return `${`${last}_${tag}`.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, room)}${tail}`;
}

/** Not a template name to Proxmox: it does not end in an archive suffix. */
export function temporaryName(name: string, operationId: string): string {
  return `${name}.tmp.${operationId}`;
}

/** Writes, reads back, and renames into place. Nothing is left when it fails. Gives the size in bytes. PXM_DISK_FULL, PXM_DISK_FAILED. */
export async function writeArchive(
  directory: string,
  name: string,
  task: ArchiveContent & { operationId: string; signal?: AbortSignal; onProgress?: (bytes: number) => void },
): Promise<number> {
  await mkdir(directory, { recursive: true });
  const temporary = join(directory, temporaryName(name, task.operationId));
  try {
    await writeTo(temporary, task);
    const problem = await checkArchive(temporary, task);
    if (problem !== undefined) throw new Error(`the archive is not what was written: ${problem}`);
    await rename(temporary, join(directory, name));
    return (await stat(join(directory, name))).size;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw diskError(error, join(directory, name)) ?? error;
  }
}

async function writeTo(
  path: string,
  task: ArchiveContent & { signal?: AbortSignal; onProgress?: (bytes: number) => void },
): Promise<void> {
  const tar = pack();
  const output = createWriteStream(path, { mode: 0o644, flags: 'w' });
  const writing = pipeline(
    tar as unknown as NodeJS.ReadableStream,
    output,
    task.signal === undefined ? {} : { signal: task.signal },
  );
  const filling = fill(tar, task).catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  await Promise.all([filling, writing]);
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function fill(tar: Pack, task: ArchiveContent & { onProgress?: (bytes: number) => void }): Promise<void> {
  addFolder(tar, 'blobs/');
  addFolder(tar, 'blobs/sha256/');
  let done = 0;
  for (const part of unique([task.manifest, ...task.parts])) {
    await addBlob(tar, task.blobs, part);
    done += part.size;
    task.onProgress?.(done);
  }
  const { digest, size } = task.manifest;
  const index = { schemaVersion: 2, manifests: [{ mediaType: OCI_MANIFEST, digest, size }] };
  tar.entry({ name: 'index.json', mode: 0o644, mtime: EPOCH }, JSON.stringify(index));
  tar.entry({ name: 'oci-layout', mode: 0o644, mtime: EPOCH }, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  tar.finalize();
}

/** One time for all entries: the same image gives the same archive. */
const EPOCH = new Date(0);

function addFolder(tar: Pack, name: string): void {
  tar.entry({ name, type: 'directory', mode: 0o755, mtime: EPOCH });
}

async function addBlob(tar: Pack, blobs: BlobSource, part: Descriptor): Promise<void> {
  const tap = new HashTap();
  const entry = tar.entry({ name: `blobs/sha256/${hexOf(part.digest)}`, size: part.size, mode: 0o644, mtime: EPOCH });
  await pipeline(blobs.open(part.digest), tap, entry as unknown as NodeJS.WritableStream);
  const digest = tap.digest();
  if (digest !== part.digest) throw new Error(`blob ${part.digest} changed while it was copied`);
}

function unique(parts: readonly Descriptor[]): Descriptor[] {
  return [...new Map(parts.map((part) => [part.digest, part])).values()];
}

const LISTING = /^(?:oci-layout|index\.json|blobs\/(?:sha256\/(?:[0-9a-f]{64})?)?)$/;

/** Reads the whole archive as Proxmox will: names, one manifest, every digest. Gives the first problem as text. */
export async function checkArchive(
  path: string,
  wanted: { manifest: Descriptor; parts: readonly Descriptor[]; signal?: AbortSignal },
): Promise<string | undefined> {
  const missing = new Set([wanted.manifest, ...wanted.parts].map((part) => part.digest));
  const problems: string[] = [];
  const tar = extract();
  const reading = (async () => {
    for await (const entry of tar) {
      const { name } = entry.header;
      if (!LISTING.test(name)) problems.push(`unexpected entry "${name}"`);
      const tap = new HashTap();
      const text = new PassThrough();
      const chunks: Buffer[] = [];
      text.on('data', (chunk: Buffer) => name === 'index.json' && chunks.push(chunk));
      await pipeline(entry as unknown as NodeJS.ReadableStream, tap, text);
      if (name === 'index.json')
        problems.push(...checkIndex(Buffer.concat(chunks).toString('utf8'), wanted.manifest.digest));
      if (!name.startsWith('blobs/sha256/') || name.endsWith('/')) continue;
      const digest = tap.digest();
      if (`blobs/sha256/${hexOf(digest)}` !== name) problems.push(`blob ${name} has digest ${digest}`);
      missing.delete(digest);
    }
  })();
  try {
    const source = createReadStream(path, { highWaterMark: 256 * 1024 });
    const options = wanted.signal === undefined ? {} : { signal: wanted.signal };
    await Promise.all([pipeline(source, tar as unknown as NodeJS.WritableStream, options), reading]);
  } catch (error) {
    wanted.signal?.throwIfAborted();
    return `it is cut off or damaged (${error instanceof Error ? error.message : String(error)})`;
  }
  for (const digest of missing) problems.push(`blob ${digest} is missing`);
  return problems[0];
}

function checkIndex(text: string, digest: string): string[] {
  try {
    const index = Index.parse(JSON.parse(text));
    if (index.manifests.length !== 1) return [`its index names ${index.manifests.length} manifests`];
    return index.manifests[0]?.digest === digest ? [] : ['its index names another manifest'];
  } catch {
    // Neither JSON nor an index.
    return ['its index is damaged'];
  }
}

/** Temporary archives of operations that are over; their names carry the operation's id. */
export async function removeStaleArchives(
  directory: string,
  isActive: (operationId: string) => boolean,
): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await readdir(directory).catch(() => [] as string[])) {
    const id = /\.tar\.tmp\.(op-[0-9a-z]{26})$/.exec(name)?.[1];
    if (id === undefined || isActive(id)) continue;
    await rm(join(directory, name), { force: true });
    removed.push(name);
  }
  return removed;
}
