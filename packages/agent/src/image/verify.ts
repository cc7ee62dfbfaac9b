import type { Readable } from 'node:stream';
import { limits } from '@pxmgr/contract';
import { messageOf } from '@pxmgr/kit/error/chain';
import { parseGroup, parsePasswd, type ResolvedUser, resolveUser } from './accounts.ts';
import { checkIds, checkRunConfig } from './check-config.ts';
import type { SampledFile } from './content-sample.ts';
import { type ImageEntry, LayerTree } from './layer-scan.ts';
import { type Descriptor, ImageJson, LAYER_PACKING, Manifest, OCI_CONFIG, OCI_MANIFEST } from './oci-types.ts';
import { decideOsType, type Look, OS_PATHS } from './os-type.ts';

/** Where the blobs of an image lie; digests are not trusted. */
export interface BlobSource {
  open(digest: string): Readable;
  sizeOf(digest: string): Promise<number | undefined>;
  /** Text of a small blob whose digest was checked; undefined when it is absent, too large or not what it says. */
  readSmall(digest: string, limit: number): Promise<string | undefined>;
}

/** What reading the whole image told, kept so that no later step has to read it again. */
export interface ImageFindings {
  readonly osType: string;
  /** Why a container of it can only be `unmanaged`; create judges it, since the type is the guest's, not the image's. */
  readonly osProblem: string | undefined;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** Group name to gid; undefined when the image has no /etc/group. */
  readonly groups: Readonly<Record<string, number>> | undefined;
  /** Declared volumes as real directories, parents first. */
  readonly volumes: readonly string[];
  /** Both /bin/sh and printf are there, so an entrypoint with odd quotes can be wrapped. */
  readonly hasShell: boolean;
  readonly unpackedBytes: number;
  readonly entryCount: number;
  /** Regular files that tell whether a root file system made of it is complete. */
  readonly sample: readonly SampledFile[];
}

export interface VerifiedImage {
  readonly image: ImageJson;
  readonly manifest: Manifest;
  readonly findings: ImageFindings;
}

export interface VerifyOptions {
  /** Called with packed bytes read so far. */
  readonly onProgress?: (bytes: number) => void;
  /** Digests whose bytes were wrong: they must leave the cache. */
  readonly onBadBlob?: (digest: string) => void;
  readonly signal?: AbortSignal;
  /** `architecture` that the image must have. */
  readonly architecture: string;
}

export type VerifyResult =
  | { readonly ok: true; readonly value: VerifiedImage }
  | { readonly ok: false; readonly problems: readonly string[] };

const SMALL_LIMIT = 4 * 1024 * 1024;
const MAX_RESCANS = 2;
const WATCHED = ['etc/passwd', 'etc/group', 'bin/sh', 'usr/bin/printf', 'bin/printf', 'etc', ...OS_PATHS];

/**
 * Everything that Proxmox does not check or finds out too late, read before `pct` runs: digests of all blobs, diff
 * ids of the unpacked layers, media types, ids, strings, user, distribution. All problems at once.
 */
export async function verifyImage(
  blobs: BlobSource,
  manifestDigest: string,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const documents = await readDocuments(blobs, manifestDigest);
  if (!documents.ok) return documents;
  const { manifest, image } = documents.value;
  const problems = [...checkShape(manifest, image, options.architecture), ...checkRunConfig(image)];
  if (manifest.layers.some((layer) => LAYER_PACKING[layer.mediaType] === undefined)) return { ok: false, problems };
  const tree = await scan({ blobs, manifest, image, options, problems });
  if (tree === undefined) return { ok: false, problems };
  const findings = checkTree(tree, image, problems);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, value: { image, manifest, findings } };
}

interface Documents {
  readonly manifest: Manifest;
  readonly image: ImageJson;
}

type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly string[] };

async function readDocuments(blobs: BlobSource, manifestDigest: string): Promise<Read<Documents>> {
  const manifestJson = await readJson(blobs, manifestDigest);
  const manifest = Manifest.safeParse(manifestJson);
  if (!manifest.success) {
    const nested = typeof manifestJson === 'object' && manifestJson !== null && 'manifests' in manifestJson;
    return {
      ok: false,
      problems: [nested ? 'an index lies where its manifest should be' : 'its manifest is damaged or missing'],
    };
  }
  const image = ImageJson.safeParse(await readJson(blobs, manifest.data.config.digest));
  if (!image.success) return { ok: false, problems: ['its configuration is damaged or missing'] };
  return { ok: true, value: { manifest: manifest.data, image: image.data } };
}

async function readJson(blobs: BlobSource, digest: string): Promise<unknown> {
  const text = await blobs.readSmall(digest, SMALL_LIMIT);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  } catch {
    // Not JSON: the caller reports the blob as damaged.
    return undefined;
  }
}

function checkShape(manifest: Manifest, image: ImageJson, architecture: string): string[] {
  const problems: string[] = [];
  if ((manifest.mediaType ?? OCI_MANIFEST) !== OCI_MANIFEST)
    problems.push(`its manifest is of type ${manifest.mediaType ?? ''}`);
  if (manifest.config.mediaType !== OCI_CONFIG)
    problems.push(`its configuration is of type ${manifest.config.mediaType}`);
  if (image.architecture !== architecture)
    problems.push(`it is built for ${image.architecture || 'no named architecture'}, not for ${architecture}`);
  if (image.rootfs.diff_ids.length !== manifest.layers.length) {
    problems.push(`it has ${manifest.layers.length} layers but names ${image.rootfs.diff_ids.length}`);
  }
  for (const layer of manifest.layers) {
    if (LAYER_PACKING[layer.mediaType] === undefined)
      problems.push(`a layer is of type ${layer.mediaType || '(none)'}, which Proxmox cannot unpack`);
  }
  return problems;
}

interface ScanTask extends Documents {
  readonly blobs: BlobSource;
  readonly options: VerifyOptions;
  readonly problems: string[];
}

/** Reads all layers; once more when a link leads to a path that was not watched. */
async function scan(task: ScanTask): Promise<LayerTree | undefined> {
  const volumes = task.image.config.Volumes.map((path) => path.replace(/^\/+|\/+$/g, ''));
  const watched = new Set([...WATCHED, ...volumes]);
  for (let round = 0; ; round += 1) {
    const tree = await readLayers(task, watched, round === 0);
    if (tree === undefined) return undefined;
    const missing = [...watched].flatMap((path) => tree.find(path).unwatched ?? []);
    if (missing.length === 0 || round === MAX_RESCANS) return tree;
    for (const path of missing) watched.add(path);
  }
}

async function readLayers(
  task: ScanTask,
  watched: ReadonlySet<string>,
  isFirst: boolean,
): Promise<LayerTree | undefined> {
  const tree = new LayerTree(watched, task.manifest.layers.length);
  let isWhole = true;
  let doneBytes = 0;
  for (const [index, layer] of task.manifest.layers.entries()) {
    task.options.signal?.throwIfAborted();
    const problem = await readLayer(task, tree, { layer, diffId: task.image.rootfs.diff_ids[index] ?? '' });
    doneBytes += layer.size;
    if (isFirst) task.options.onProgress?.(doneBytes);
    if (problem === undefined) continue;
    task.problems.push(`layer ${index + 1}: ${problem}`);
    isWhole = false;
  }
  return isWhole ? tree : undefined;
}

async function readLayer(
  { blobs, options }: ScanTask,
  tree: LayerTree,
  { layer, diffId }: { layer: Descriptor; diffId: string },
): Promise<string | undefined> {
  const size = await blobs.sizeOf(layer.digest);
  if (size === undefined) return 'its blob is missing';
  if (size !== layer.size) {
    options.onBadBlob?.(layer.digest);
    return `its blob has ${size} bytes instead of ${layer.size}`;
  }
  try {
    const found = await tree.addLayer(blobs.open(layer.digest), LAYER_PACKING[layer.mediaType] ?? 'none');
    if (found.digest !== layer.digest) {
      options.onBadBlob?.(layer.digest);
      return `its bytes have digest ${found.digest} instead of ${layer.digest}`;
    }
    return found.diffId === diffId
      ? undefined
      : `its content has digest ${found.diffId}, but the image names ${diffId}`;
  } catch (error) {
    options.onBadBlob?.(layer.digest);
    return `it cannot be unpacked (${messageOf(error)})`;
  }
}

function checkTree(tree: LayerTree, image: ImageJson, problems: string[]): ImageFindings {
  const look = (path: string): ImageEntry | undefined => tree.find(path).entry;
  problems.push(...checkIds(tree.maxUid, tree.maxGid));
  const groupText = look('etc/group')?.body?.toString('utf8');
  const groups = groupText === undefined ? undefined : parseGroup(groupText);
  const user = checkUser(image.config.User, { look, groups }, problems);
  const os = decideOsType(look);
  return {
    ...user,
    osType: os.osType,
    osProblem: os.problem,
    groups: groups === undefined ? undefined : Object.fromEntries(groups),
    volumes: realVolumes(tree, image.config.Volumes, problems),
    hasShell: look('bin/sh') !== undefined && (look('usr/bin/printf') ?? look('bin/printf')) !== undefined,
    unpackedBytes: tree.unpackedBytes,
    entryCount: tree.entryCount,
    sample: tree.sampledFiles(),
  };
}

function checkUser(
  user: string,
  { look, groups }: { look: Look; groups: ReadonlyMap<string, number> | undefined },
  problems: string[],
): ResolvedUser {
  const text = look('etc/passwd')?.body?.toString('utf8');
  const passwd = text === undefined ? undefined : parsePasswd(text);
  const hasEtc = look('etc')?.type === 'directory' || passwd !== undefined;
  const resolved = resolveUser(user, { passwd, groups, hasEtc });
  if (typeof resolved !== 'string' && Math.max(resolved.uid, resolved.gid) <= limits.GUEST_ID_MAX) return resolved;
  problems.push(typeof resolved === 'string' ? resolved : `User "${user}" is beyond the id map of a container`);
  return { uid: 0, gid: 0, home: '/root' };
}

/** A mount point below a link of the image makes the extraction fail: take the directory that is really meant. */
function realVolumes(tree: LayerTree, declared: readonly string[], problems: string[]): string[] {
  const found = new Set<string>();
  for (const path of declared) {
    const real = tree.resolve(path);
    if (real === undefined || real === '') {
      problems.push(`volume path "${path}" leads nowhere inside the image`);
      continue;
    }
    const entry = tree.find(path).entry;
    if (entry !== undefined && entry.type !== 'directory')
      problems.push(`volume path "${path}" is a file in the image`);
    if (tree.removed.has(real))
      problems.push(
        `volume path "${path}" is removed and made again by its layers, which Proxmox cannot unpack onto a mount point`,
      );
    found.add(`/${real}`);
  }
  return [...found].sort();
}
