/** For tests: makes images blob by blob, right or wrong, in a folder laid out like the blob cache or an OCI layout. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { LAYER_PACKING, OCI_CONFIG, OCI_MANIFEST } from './oci-types.ts';
import type { BlobSource } from './verify.ts';

export interface FixtureEntry extends Partial<Header> {
  readonly name: string;
  readonly body?: string;
}

export interface FixtureImage {
  readonly layers: readonly (readonly FixtureEntry[])[];
  readonly config?: Record<string, unknown>;
  readonly architecture?: string;
  /** Changes documents before they are written. */
  readonly tweak?: (documents: { manifest: Record<string, unknown>; config: Record<string, unknown> }) => void;
}

export interface WrittenFixture {
  readonly directory: string;
  readonly manifestDigest: string;
  readonly layerDigests: readonly string[];
  readonly blobs: BlobSource;
}

export const NODE_ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** A small root file system that Proxmox would take. */
export const BASE_LAYER: readonly FixtureEntry[] = [
  { name: 'bin/', type: 'directory' },
  { name: 'bin/busybox', body: 'not really', mode: 0o755 },
  { name: 'bin/sh', type: 'symlink', linkname: 'busybox' },
  { name: 'usr/bin/printf', body: 'x', mode: 0o755 },
  { name: 'run/', type: 'directory' },
  { name: 'var/run', type: 'symlink', linkname: '../run' },
  { name: 'etc/', type: 'directory' },
  { name: 'etc/passwd', body: 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:web:/srv:/bin/sh\n' },
  { name: 'etc/group', body: 'root:x:0:\nvideo:x:27:\nrender:x:103:web\nweb:x:1001:\n' },
  { name: 'etc/os-release', type: 'symlink', linkname: '../usr/lib/os-release' },
  { name: 'usr/lib/os-release', body: 'ID=alpine\nVERSION_ID=3.20.1\n' },
  { name: 'etc/alpine-release', body: '3.20.1\n' },
];

export async function writeFixture(directory: string, image: FixtureImage): Promise<WrittenFixture> {
  const blobDir = join(directory, 'blobs', 'sha256');
  await mkdir(blobDir, { recursive: true });
  const put = async (bytes: Buffer): Promise<{ digest: string; size: number }> => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(blobDir, hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  const diffIds: string[] = [];
  const layers: { mediaType: string; digest: string; size: number }[] = [];
  for (const entries of image.layers) {
    const tar = await tarOf(entries);
    diffIds.push(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
    layers.push({ mediaType: Object.keys(LAYER_PACKING)[1] ?? '', ...(await put(gzipSync(tar))) });
  }
  const config: Record<string, unknown> = {
    architecture: image.architecture ?? NODE_ARCHITECTURE,
    os: 'linux',
    config: { Cmd: ['/bin/sh'], ...image.config },
    rootfs: { type: 'layers', diff_ids: diffIds },
  };
  const manifest: Record<string, unknown> = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: undefined, layers };
  image.tweak?.({ manifest, config });
  manifest['config'] = {
    mediaType: OCI_CONFIG,
    ...(await put(json(config))),
    ...(manifest['config'] as object | undefined),
  };
  const written = await put(json(manifest));
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    join(directory, 'index.json'),
    json({ schemaVersion: 2, manifests: [{ mediaType: OCI_MANIFEST, ...written }] }),
  );
  return {
    directory,
    manifestDigest: written.digest,
    layerDigests: layers.map((layer) => layer.digest),
    blobs: blobsIn(blobDir),
  };
}

export function blobsIn(blobDir: string): BlobSource {
  const pathOf = (digest: string): string => join(blobDir, digest.slice('sha256:'.length));
  return {
    open: (digest) => createReadStream(pathOf(digest)),
    sizeOf: async (digest) => (await stat(pathOf(digest)).catch(() => undefined))?.size,
    readSmall: async (digest) => {
      const bytes = await readFile(pathOf(digest)).catch(() => undefined);
      const isRight = bytes !== undefined && `sha256:${createHash('sha256').update(bytes).digest('hex')}` === digest;
      return isRight ? bytes.toString('utf8') : undefined;
    },
  };
}

async function tarOf(entries: readonly FixtureEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const { body, ...header } of entries) tar.entry({ mtime: new Date(0), ...header }, body ?? '');
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
