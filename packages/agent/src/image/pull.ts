/**
 * image/: OCI images on this node, from a reference to a verified archive that `pct create` can take. This file is the
 * pull operation. The room writes below its state folder and into template storages, starts only skopeo, and never
 * touches a guest. It may call host/; the operation around it hands in a small door (`PullWork`).
 */
import { rm } from 'node:fs/promises';
import { formatSize, parseImageReference, pinImageReference } from '@pxmgr/contract';
import type { HostCommand, ImageSource } from '@pxmgr/contract/common';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { type Command, type CommandResult, toHostCommand } from '@pxmgr/kit/exec/command';
import type { Cluster } from '../host/cluster.ts';
import type { HostPaths } from '../host/paths.ts';
import { commandError } from '../host/stderr-map.ts';
import { isUsable, readStorages, type StorageDefinition, storageFor, templateDir } from '../host/storage-cfg.ts';
import { archiveName, writeArchive } from './archive.ts';
import { type BlobCache, LAYOUT_IMAGE } from './blob-cache.ts';
import { Index } from './oci-types.ts';
import { cacheFull, requireSpace, storageFull } from './require-space.ts';
import {
  type ImageResolver,
  imageContext,
  nodePlatform,
  type ResolvedImage,
  rejected,
  toImageConfig,
} from './resolve.ts';
import { copyToLayout, parsePlatform, type SkopeoSetup } from './skopeo.ts';
import type { ImageRecord, TemplateStore } from './template-store.ts';
import { type VerifiedImage, verifyImage } from './verify.ts';

/** What a pull needs of the operation it runs in. */
export interface PullWork {
  readonly id: string;
  readonly signal: AbortSignal;
  step<T>(name: string, title: string, body: () => Promise<T>): Promise<T>;
  effect<T>(effect: { name: string; data: Record<string, string> }, body: () => Promise<T>): Promise<T>;
  run(command: Command): Promise<CommandResult>;
  internal(purpose: string): void;
  bytes(label: string, done: number, total: number): void;
  result(name: string, value: string): void;
  warn(text: string): void;
}

export interface PullParts {
  readonly setup: SkopeoSetup;
  readonly resolver: ImageResolver;
  readonly cache: BlobCache;
  readonly store: TemplateStore;
  readonly paths: HostPaths;
  readonly cluster: Cluster;
  readonly clock: Clock;
}

export interface PullRequest {
  readonly image: ImageSource;
  /** Empty = the first storage with content vztmpl. */
  readonly storage: string;
}

interface Target {
  readonly storage: StorageDefinition;
  /** Inside the host. */
  readonly directory: string;
}

/** Blobs that skopeo writes become visible in the cache's files; looked at this often. */
const PROGRESS_MS = 250;

/** The storage and folder a pull will write to. Errors: PXM_STORAGE_NOT_FOUND, PXM_STORAGE_DISABLED. */
export function pullTarget(parts: Pick<PullParts, 'paths' | 'cluster'>, wanted: string): Target {
  const node = parts.cluster.nodeName();
  const storages = readStorages(parts.paths);
  const storage = wanted === '' ? storageFor(storages, 'vztmpl', node) : storages.find((one) => one.id === wanted);
  if (storage === undefined) {
    throw new PxmError('PXM_STORAGE_NOT_FOUND', { storage: wanted === '' ? 'with content vztmpl' : wanted, node });
  }
  if (!isUsable(storage, node)) throw new PxmError('PXM_STORAGE_DISABLED', { storage: storage.id, node });
  const directory = templateDir(storage);
  if (directory !== undefined) return { storage, directory };
  throw new PxmError('PXM_INPUT_INVALID', {
    count: '1',
    problems: `storage ${storage.id} does not hold container templates (content vztmpl)`,
  });
}

/** Resolves, fetches, verifies, publishes. A digest that is already here is only looked at. */
export async function pullImage(parts: PullParts, request: PullRequest, work: PullWork): Promise<ImageRecord> {
  const target = pullTarget(parts, request.storage);
  const resolved = await work.step('resolve', `find the digest of ${request.image.reference}`, () =>
    resolveFor(parts, request, work),
  );
  const { digest } = resolved.source;
  work.result('digest', digest);
  const known = await parts.store.find(digest);
  if (known !== undefined && known.document.volumeId.startsWith(`${target.storage.id}:`)) {
    const record = withReference(known, resolved.source.reference);
    if (record !== known) await parts.store.put(record);
    return tellPulled(record, work);
  }
  await parts.cache.prepare();
  try {
    const first = await fetchAndVerify(parts, resolved, work);
    // What a power cut or a bad disk has damaged in the cache is gone now: the second fetch brings it anew.
    const verified = first.damaged.length === 0 ? first.image() : (await fetchAndVerify(parts, resolved, work)).image();
    const record = await work.step('publish', `write the archive into storage ${target.storage.id}`, () =>
      publish(parts, { resolved, verified, target }, work),
    );
    return tellPulled(record, work);
  } catch (error) {
    await parts.cache.dropLayout(digest);
    throw error;
  }
}

/** The commands a pull runs; for previews. */
export function previewPull(parts: PullParts, request: PullRequest): HostCommand[] {
  const { directory, storage } = pullTarget(parts, request.storage);
  const { copy, reference, platform } = copyCommand(parts, request.image);
  const name = archiveName(reference, platform.architecture, request.image.digest);
  return [
    toHostCommand(copy),
    { argv: [], purpose: 'check every blob, layer and string of the image', internal: true },
    { argv: [], purpose: `write ${directory}/${name} (${storage.id}:vztmpl/${name})`, internal: true },
  ];
}

/** What its operation says of it at the end. */
export function tellPulled(record: ImageRecord, work: Pick<PullWork, 'warn' | 'result'>): ImageRecord {
  const { osProblem } = record.findings;
  if (osProblem !== undefined) work.warn(`${osProblem}: a container of it has to be unmanaged`);
  work.result('volid', record.document.volumeId);
  return record;
}

function withReference(record: ImageRecord, reference: string): ImageRecord {
  const { references } = record.document;
  if (references.includes(reference)) return record;
  return { ...record, document: { ...record.document, references: [...references, reference].sort() } };
}

/** A plan has fixed the digest: then the tag is not asked again, only what the digest says. */
async function resolveFor(parts: PullParts, request: PullRequest, work: PullWork): Promise<ResolvedImage> {
  const { image } = request;
  if (image.digest === '')
    return await parts.resolver.resolve(image.reference, image.platform, (command) => work.run(command));
  const known = await parts.store.find(image.digest);
  const source = { ...image, platform: image.platform === '' ? nodePlatform() : image.platform };
  if (known !== undefined) return { source, config: known.config };
  const { reference } = copyCommand(parts, source);
  const pinned = pinImageReference(reference, image.digest);
  const found = await parts.resolver.resolve(pinned, source.platform, (command) => work.run(command));
  if (found.source.digest !== image.digest)
    throw rejected(image.reference, `${image.digest} is an index, not the manifest for ${source.platform}`);
  return {
    source: { ...found.source, reference: image.reference, indexDigest: image.indexDigest },
    config: found.config,
  };
}

function copyCommand(parts: Pick<PullParts, 'setup' | 'cache'>, image: ImageSource) {
  const parsed = parseImageReference(image.reference);
  if (!parsed.ok) throw new PxmError('PXM_IMAGE_REF_INVALID', { reference: image.reference, reason: parsed.reason });
  const text = image.platform === '' ? nodePlatform() : image.platform;
  const platform = parsePlatform(text);
  if (platform === undefined)
    throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: `platform "${text}" is not os/architecture` });
  const copy = copyToLayout(parts.setup, {
    name: pinImageReference(parsed.value, image.digest),
    platform,
    layoutDir: parts.cache.layoutDir(image.digest),
    imageName: LAYOUT_IMAGE,
    sharedBlobDir: parts.cache.sharedBlobDir,
  });
  return { copy, reference: parsed.value, platform };
}

async function fetchBlobs(parts: PullParts, resolved: ResolvedImage, work: PullWork): Promise<void> {
  const { source, config } = resolved;
  await requireSpace(parts.cache.scratchDir, Number(source.sizeBytes), cacheFull(parts.cache.scratchDir));
  await parts.cache.dropLayout(source.digest);
  const { copy } = copyCommand(parts, source);
  const blobs = config.layerDigests;
  const stop = new AbortController();
  const watching = watchProgress(
    parts,
    { digest: source.digest, blobs, total: Number(source.sizeBytes) },
    { work, stop: stop.signal },
  );
  try {
    const result = await work.effect({ name: 'image.fetch', data: { digest: source.digest } }, () => work.run(copy));
    if (result.exitCode !== 0)
      throw commandError(result, { ...imageContext(source.reference), path: parts.cache.sharedBlobDir });
  } catch (error) {
    await parts.cache.dropLayout(source.digest);
    throw error;
  } finally {
    stop.abort();
    await watching;
  }
}

async function watchProgress(
  parts: PullParts,
  what: { digest: string; blobs: readonly string[]; total: number },
  { work, stop }: { work: PullWork; stop: AbortSignal },
): Promise<void> {
  let last = -1;
  while (!stop.aborted) {
    const done = Math.min(await parts.cache.measure(what.digest, what.blobs), what.total);
    if (done !== last) work.bytes('fetch', done, what.total);
    last = done;
    await parts.clock.sleep(PROGRESS_MS, stop).catch(() => undefined);
  }
  work.bytes('fetch', Math.min(await parts.cache.measure(what.digest, what.blobs), what.total), what.total);
}

type FetchedImage = VerifiedImage & { manifestDigest: string; manifestBytes: number };

interface Fetched {
  /** Blobs that were not what they are named; skopeo checks what it fetches, so they lay in the cache before. */
  readonly damaged: readonly string[];
  /** Errors: PXM_IMAGE_REJECTED. */
  readonly image: () => FetchedImage;
}

async function fetchAndVerify(parts: PullParts, resolved: ResolvedImage, work: PullWork): Promise<Fetched> {
  const { reference, sizeBytes } = resolved.source;
  await work.step('fetch', `fetch ${reference} (${formatSize(sizeBytes)})`, () => fetchBlobs(parts, resolved, work));
  return await work.step('verify', 'check every blob, layer and string', () => verifyFetched(parts, resolved, work));
}

async function verifyFetched(parts: PullParts, resolved: ResolvedImage, work: PullWork): Promise<Fetched> {
  const { source } = resolved;
  const index = Index.safeParse(await parts.cache.readIndex(source.digest));
  const [entry, ...others] = index.success ? index.data.manifests : [];
  if (entry === undefined || others.length > 0)
    throw rejected(source.reference, 'its layout does not hold exactly one manifest');
  const bad: string[] = [];
  const result = await verifyImage(parts.cache, entry.digest, {
    architecture: parsePlatform(source.platform)?.architecture ?? '',
    signal: work.signal,
    onProgress: (bytes) => {
      work.bytes('verify', bytes, Number(source.sizeBytes));
    },
    onBadBlob: (digest) => bad.push(digest),
  });
  for (const digest of bad) await parts.cache.dropBlob(digest);
  const image = (): FetchedImage => {
    if (!result.ok) throw rejected(source.reference, result.problems.join('; '));
    return { ...result.value, manifestDigest: entry.digest, manifestBytes: entry.size };
  };
  if (bad.length === 0) image();
  return { damaged: bad, image };
}

async function publish(
  parts: PullParts,
  what: {
    resolved: ResolvedImage;
    verified: FetchedImage;
    target: Target;
  },
  work: PullWork,
): Promise<ImageRecord> {
  const {
    resolved: { source },
    verified,
    target,
  } = what;
  const { reference, platform } = copyCommand(parts, source);
  const name = archiveName(reference, platform.architecture, source.digest);
  const { manifest, image, findings } = verified;
  const content = [manifest.config, ...manifest.layers];
  const total = content.reduce((sum, part) => sum + part.size, verified.manifestBytes);
  const directory = parts.paths.at(target.directory);
  await requireSpace(directory, total, storageFull(target.storage.id, parts.cluster.nodeName()));
  work.internal(`write ${target.directory}/${name}`);
  const archiveBytes = await work.effect({ name: 'image.archive', data: { directory: target.directory, name } }, () =>
    writeArchive(directory, name, {
      blobs: parts.cache,
      manifest: { mediaType: '', digest: verified.manifestDigest, size: verified.manifestBytes },
      parts: content,
      operationId: work.id,
      signal: work.signal,
      onProgress: (bytes) => {
        work.bytes('publish', bytes, total);
      },
    }),
  );
  const config = toImageConfig(
    image,
    manifest.layers.map((layer) => layer.digest),
  );
  const record: ImageRecord = {
    document: {
      digest: source.digest,
      indexDigest: source.indexDigest,
      references: [source.reference],
      platform: source.platform,
      sizeBytes: BigInt(archiveBytes),
      volumeId: `${target.storage.id}:vztmpl/${name}`,
      pulledAt: parts.clock.now(),
      layers: config.diffIds,
    },
    config,
    findings,
    archivePath: `${target.directory}/${name}`,
    archiveBytes,
    manifestDigest: verified.manifestDigest,
  };
  await keep(parts, record);
  return record;
}

/** An archive that nothing tells of would only take room. */
async function keep({ store, paths }: PullParts, record: ImageRecord): Promise<void> {
  try {
    await store.put(record);
  } catch (error) {
    await store.remove(record.document.digest).catch(() => undefined);
    await rm(paths.at(record.archivePath), { force: true }).catch(() => undefined);
    throw error;
  }
}
