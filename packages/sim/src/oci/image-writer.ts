/**
 * Writes small OCI archives: layers from a list of entries, configuration, manifest, index, all in one tar file as
 * `skopeo copy oci-archive:` reads it. For fixtures only: layers are built in memory. The bytes follow from the
 * description alone, so the same description always has the same digest.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { type Header, pack as tarPack } from 'tar-stream';
import { CONFIG_TYPE, MANIFEST_TYPE } from './image.ts';

export interface TreeEntry {
  readonly path: string;
  /** Default `file`. */
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'character-device';
  /** Default 0755 for directories, 0644 for files. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly content?: string | Uint8Array;
  /** Target of a symlink or hard link. */
  readonly to?: string;
}

export interface ImageSpec {
  readonly layers: readonly (readonly TreeEntry[])[];
  /** The `config` object: Env, Entrypoint, Cmd, User, ... */
  readonly config: Readonly<Record<string, unknown>>;
  readonly architecture?: string;
  readonly compression?: 'none' | 'gzip' | 'zstd';
  readonly mediaTypes?: { readonly manifest?: string; readonly config?: string; readonly layer?: string };
  /** Last chance to change blobs (by archive path) before the archive is written. */
  readonly tamper?: (members: Map<string, Buffer>) => void;
}

export interface WrittenImage {
  readonly path: string;
  /** `sha256:...` of the manifest, which a registry will know the image by. */
  readonly digest: string;
}

const EPOCH = new Date('2026-01-01T00:00:00Z');
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

export async function writeOciArchive(path: string, spec: ImageSpec): Promise<WrittenImage> {
  const members = new Map<string, Buffer>();
  const add = (bytes: Buffer): { digest: string; size: number } => {
    const hex = sha256(bytes);
    members.set(`blobs/sha256/${hex}`, bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  const diffIds: string[] = [];
  const layers: unknown[] = [];
  const compression = spec.compression ?? 'gzip';
  for (const entries of spec.layers) {
    const tar = await tarOf(entries);
    diffIds.push(`sha256:${sha256(tar)}`);
    layers.push({
      mediaType:
        spec.mediaTypes?.layer ??
        `application/vnd.oci.image.layer.v1.tar${compression === 'none' ? '' : `+${compression}`}`,
      ...add(packed(tar, compression)),
    });
  }
  const architecture = spec.architecture ?? 'amd64';
  const configuration = {
    created: EPOCH.toISOString(),
    architecture,
    os: 'linux',
    config: spec.config,
    rootfs: { type: 'layers', diff_ids: diffIds },
  };
  const config = { mediaType: spec.mediaTypes?.config ?? CONFIG_TYPE, ...add(json(configuration)) };
  const manifestType = spec.mediaTypes?.manifest ?? MANIFEST_TYPE;
  const manifest = {
    mediaType: manifestType,
    ...add(json({ schemaVersion: 2, mediaType: manifestType, config, layers })),
  };
  members.set('index.json', json({ schemaVersion: 2, manifests: [manifest] }));
  members.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  spec.tamper?.(members);
  await writeFile(path, await tarOf([...members].map(([name, content]) => ({ path: name, content }))));
  return { path, digest: manifest.digest };
}

function packed(tar: Buffer, compression: NonNullable<ImageSpec['compression']>): Buffer {
  if (compression === 'none') return tar;
  return compression === 'gzip' ? gzipSync(tar, { level: 9 }) : zstdStored(tar);
}

const ZSTD_MAGIC = 0xfd2fb528;
const ZSTD_BLOCK = 128 * 1024;

/** A zstd frame whose blocks are stored as they are (RFC 8878, 3.1.1): this platform has no compressor of its own. */
export function zstdStored(bytes: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt32LE(ZSTD_MAGIC, 0);
  head[4] = 0xa0; // one segment, its size in four bytes
  head.writeUInt32LE(bytes.length, 5);
  const parts: Buffer[] = [head];
  for (let at = 0; at < bytes.length || at === 0; at += ZSTD_BLOCK) {
    const block = bytes.subarray(at, at + ZSTD_BLOCK);
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | (at + ZSTD_BLOCK >= bytes.length ? 1 : 0), 0, 3);
    parts.push(header, block);
  }
  return Buffer.concat(parts);
}

/** Puts an index between index.json and the manifest, as `skopeo copy --all` leaves it. */
export function nestIndex(members: Map<string, Buffer>): void {
  const inner = members.get('index.json') ?? Buffer.alloc(0);
  const hex = sha256(inner);
  members.set(`blobs/sha256/${hex}`, inner);
  members.set(
    'index.json',
    json({ schemaVersion: 2, manifests: [{ mediaType: INDEX_TYPE, digest: `sha256:${hex}`, size: inner.length }] }),
  );
}

export async function tarOf(entries: readonly TreeEntry[]): Promise<Buffer> {
  const pack = tarPack();
  const parts: Buffer[] = [];
  pack.on('data', (part) => parts.push(part as Buffer));
  const done = new Promise<void>((resolve, reject) => {
    pack.once('end', resolve);
    pack.once('error', reject);
  });
  for (const entry of entries) pack.entry(headerOf(entry), Buffer.from(entry.content ?? ''));
  pack.finalize();
  await done;
  return Buffer.concat(parts);
}

function headerOf(entry: TreeEntry): Partial<Header> & Pick<Header, 'name'> {
  const type = entry.type ?? 'file';
  return {
    name: entry.path,
    type,
    mode: entry.mode ?? (type === 'directory' ? 0o755 : 0o644),
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    mtime: EPOCH,
    ...(entry.to === undefined ? {} : { linkname: entry.to }),
    ...(type === 'character-device' ? { devmajor: 1, devminor: 3 } : {}),
  };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
