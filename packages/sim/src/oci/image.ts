/**
 * An OCI archive opened for reading: its manifest, its configuration and its blobs. Chooses as Proxmox VE does: the
 * first entry of index.json that is an OCI manifest, whatever its platform; blob digests are not verified.
 * Rules from proxmox-rs proxmox-oci/src/lib.rs and src/oci_tar_image.rs.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { type ArchiveMember, indexArchive } from './archive-index.ts';
import { ImageError, ioText } from './image-error.ts';

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
}

/** The `config` object of an image configuration, unchecked: any member may be missing or of a wrong kind. */
export type RawImageConfig = Readonly<Record<string, unknown>>;

export interface OciImage {
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
  readonly architecture: string | undefined;
  readonly config: RawImageConfig;
  /** A stream of the blob's bytes, or undefined when the archive does not hold it. */
  openBlob(digest: string): Readable | undefined;
}

const MAX_JSON_BYTES = 16 * 1024 * 1024;
const BAD_JSON = 'OCI spec error: serde failed';

export async function openImage(path: string): Promise<OciImage> {
  const members = await indexArchive(path).catch((err: unknown) => {
    throw ImageError.parse(`OCI spec error: ${ioText(err)}`);
  });
  const manifest = await readManifest(path, members);
  const configDescriptor = descriptor(manifest['config']);
  if (configDescriptor.mediaType !== CONFIG_TYPE) throw ImageError.parse('Wrong media type');
  const configMember = members.get(blobPath(configDescriptor.digest));
  if (configMember === undefined) throw ImageError.parse('Missing image config');
  const configuration = asObject(await readJson(path, configMember));
  const rootfs = asObject(configuration['rootfs']);
  return {
    layers: asArray(manifest['layers']).map(descriptor),
    diffIds: asArray(rootfs['diff_ids']).map(String),
    architecture: typeof configuration['architecture'] === 'string' ? configuration['architecture'] : undefined,
    config: isObject(configuration['config']) ? configuration['config'] : {},
    openBlob: (digest) => {
      const member = members.get(blobPath(digest));
      return member === undefined ? undefined : openMember(path, member);
    },
  };
}

async function readManifest(
  path: string,
  members: ReadonlyMap<string, ArchiveMember>,
): Promise<Record<string, unknown>> {
  const indexMember = members.get('index.json');
  if (indexMember === undefined) throw ImageError.parse('OCI spec error: Missing index.json file');
  const index = asObject(await readJson(path, indexMember));
  const found = asArray(index['manifests'])
    .map(descriptor)
    .find((entry) => entry.mediaType === MANIFEST_TYPE);
  if (found === undefined) throw ImageError.parse('Unsupported CPU architecture');
  const member = members.get(blobPath(found.digest));
  if (member === undefined) {
    throw ImageError.parse(
      `OCI spec error: Image manifest with digest ${found.digest} mentioned in image index is missing`,
    );
  }
  return asObject(await readJson(path, member));
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function openMember(path: string, { offset, size }: ArchiveMember): Readable {
  return size === 0 ? Readable.from([]) : createReadStream(path, { start: offset, end: offset + size - 1 });
}

async function readJson(path: string, member: ArchiveMember): Promise<unknown> {
  if (member.size === 0 || member.size > MAX_JSON_BYTES) throw ImageError.parse(BAD_JSON);
  const parts: Buffer[] = [];
  for await (const part of openMember(path, member)) parts.push(part as Buffer);
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw ImageError.parse(BAD_JSON);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(value: unknown): Record<string, unknown> {
  if (!isObject(value)) throw ImageError.parse(BAD_JSON);
  return value;
}

function asArray(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw ImageError.parse(BAD_JSON);
  return value;
}

function descriptor(value: unknown): Descriptor {
  const object = asObject(value);
  const { mediaType, digest } = object as { mediaType?: unknown; digest?: unknown };
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !/^[a-z0-9+._-]+:[0-9a-zA-Z=_-]+$/.test(digest))
    throw ImageError.parse(BAD_JSON);
  return { mediaType, digest };
}
