import { createHash } from 'node:crypto';
import { formatImageReference, type ImageReference, parseImageReference, pinImageReference } from '@pxmgr/contract';
import type { ImageConfig } from '@pxmgr/contract/agent';
import type { ImageSource } from '@pxmgr/contract/common';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import * as z from 'zod';
import { commandError } from '../host/stderr-map.ts';
import { DOCKER_MANIFEST, ImageJson, INDEX_TYPES, Index, Manifest, OCI_MANIFEST } from './oci-types.ts';
import {
  askWhySilent,
  formatPlatform,
  inspectConfig,
  inspectRaw,
  type Platform,
  parsePlatform,
  registryOf,
  type SkopeoSetup,
  tellsOfLimit,
} from './skopeo.ts';

export interface ResolvedImage {
  readonly source: ImageSource;
  readonly config: ImageConfig;
}

/** Runs one skopeo call; the resolver is used with and without an operation around it. */
export type RunCommand = (command: Command) => Promise<CommandResult>;

const CACHE_MS = 60_000;

const MediaTyped = z.looseObject({ mediaType: z.string().optional(), schemaVersion: z.number().optional() });

/**
 * A reference becomes the digest of the manifest for one platform: read from the index by us, because Proxmox takes
 * whatever manifest comes first. Answers for tags are remembered for a minute (registries count these reads).
 */
export class ImageResolver {
  readonly #setup: SkopeoSetup;
  readonly #clock: Clock;
  readonly #cache = new Map<string, { untilMs: number; answer: Promise<ResolvedImage> }>();

  constructor(setup: SkopeoSetup, clock: Clock) {
    this.#setup = setup;
    this.#clock = clock;
  }

  /**
   * `platform` empty = the node's own. Errors: PXM_IMAGE_REF_INVALID, PXM_IMAGE_NOT_FOUND, PXM_IMAGE_PLATFORM_MISSING,
   * PXM_IMAGE_PULL_DENIED, PXM_IMAGE_REJECTED, PXM_REGISTRY_UNREACHABLE, PXM_REGISTRY_LIMIT, PXM_COMMAND_TIMEOUT.
   */
  async resolve(reference: string, platform: string, run: RunCommand): Promise<ResolvedImage> {
    const parsed = parseImageReference(reference);
    if (!parsed.ok) throw new PxmError('PXM_IMAGE_REF_INVALID', { reference, reason: parsed.reason });
    const wanted = parsePlatform(platform === '' ? nodePlatform() : platform);
    if (wanted === undefined) {
      throw new PxmError('PXM_INPUT_INVALID', {
        count: '1',
        problems: `platform "${platform}" is not os/architecture`,
      });
    }
    const key = `${formatImageReference(parsed.value)} ${formatPlatform(wanted)}`;
    const now = this.#clock.monotonicMs();
    const cached = this.#cache.get(key);
    if (cached !== undefined && cached.untilMs > now) return await cached.answer;
    const answer = this.#read(parsed.value, wanted, run);
    this.#cache.set(key, { untilMs: now + CACHE_MS, answer });
    answer.catch(() => this.#cache.delete(key));
    return await answer;
  }

  async #read(reference: ImageReference, platform: Platform, run: RunCommand): Promise<ResolvedImage> {
    const asked = reference.digest === '' ? nameOf(reference) : pinImageReference(reference, reference.digest);
    const first = await this.#raw(asked, reference, run);
    const isIndex = (INDEX_TYPES as readonly string[]).includes(first.mediaType) || isIndexShaped(first.json);
    const digest = isIndex ? pickPlatform(Index.parse(first.json), platform, asked) : first.digest;
    const pinned = pinImageReference(reference, digest);
    const manifest = isIndex ? await this.#raw(pinned, reference, run) : first;
    const { layers, sizeBytes } = readManifest(manifest.json, asked);
    const image = ImageJson.safeParse(
      JSON.parse(await this.#text(inspectConfig(this.#setup, pinned, platform), reference, run)),
    );
    if (!image.success) throw rejected(asked, 'its configuration is not an OCI image configuration');
    return {
      source: {
        reference: formatImageReference(reference),
        digest,
        platform: formatPlatform(platform),
        indexDigest: isIndex ? first.digest : '',
        sizeBytes: BigInt(sizeBytes),
      },
      config: toImageConfig(image.data, layers),
    };
  }

  async #raw(
    name: string,
    reference: ImageReference,
    run: RunCommand,
  ): Promise<{ digest: string; mediaType: string; json: unknown }> {
    const text = await this.#text(inspectRaw(this.#setup, name), reference, run);
    const json: unknown = JSON.parse(text);
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const at = name.indexOf('@');
    if (at !== -1 && name.slice(at + 1) !== digest)
      throw rejected(name, `the registry answered with another digest (${digest})`);
    return { digest, mediaType: MediaTyped.parse(json).mediaType ?? '', json };
  }

  async #text(command: Command, reference: ImageReference, run: RunCommand): Promise<string> {
    const result = await run(command);
    if (result.exitCode === 0) return result.stdout;
    const context = imageContext(formatImageReference(reference));
    if (result.timedOut && tellsOfLimit(await run(askWhySilent(command))))
      throw new PxmError('PXM_REGISTRY_LIMIT', context);
    throw commandError(result, context);
  }
}

/** Fields for errors about an image. */
export function imageContext(reference: string): Record<string, string> {
  return { reference, registry: registryOf(reference), platform: nodePlatform(), digest: '' };
}

export function rejected(reference: string, problems: string): PxmError {
  return new PxmError('PXM_IMAGE_REJECTED', { reference, problems });
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: '386',
  riscv64: 'riscv64',
};

/** "linux/amd64" */
export function nodePlatform(): string {
  return `linux/${ARCHITECTURES[process.arch] ?? process.arch}`;
}

export function toImageConfig(image: ImageJson, layerDigests: readonly string[]): ImageConfig {
  const { config } = image;
  return {
    entrypoint: config.Entrypoint,
    command: config.Cmd,
    env: config.Env,
    user: config.User,
    workingDir: config.WorkingDir,
    volumes: config.Volumes,
    exposedPorts: config.ExposedPorts,
    stopSignal: config.StopSignal,
    labels: config.Labels,
    created: image.created ?? '',
    diffIds: image.rootfs.diff_ids,
    layerDigests: [...layerDigests],
  };
}

function nameOf(reference: ImageReference): string {
  return `${reference.host}/${reference.path}:${reference.tag}`;
}

function isIndexShaped(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'manifests' in json && !('layers' in json);
}

/** No variant in the index fits every wanted one; arm64 means v8 and the other way round. */
function pickPlatform(index: Index, wanted: Platform, reference: string): string {
  const offered = index.manifests.filter((entry) => entry.platform !== undefined && entry.platform.os !== 'unknown');
  const sameArch = offered.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const variantOf = (variant: string | undefined): string =>
    wanted.architecture === 'arm64' && variant === 'v8' ? '' : (variant ?? '');
  const exact = sameArch.find(({ platform }) => variantOf(platform?.variant) === variantOf(wanted.variant));
  const found =
    exact ?? (wanted.variant === '' ? sameArch[0] : sameArch.find(({ platform }) => platform?.variant === undefined));
  if (found !== undefined) return found.digest;
  const available = offered.map(({ platform }) =>
    formatPlatform({
      os: platform?.os ?? '',
      architecture: platform?.architecture ?? '',
      variant: platform?.variant ?? '',
    }),
  );
  throw new PxmError('PXM_IMAGE_PLATFORM_MISSING', {
    reference,
    platform: formatPlatform(wanted),
    available: available.length === 0 ? 'none that names its platform' : [...new Set(available)].join(', '),
  });
}

function readManifest(json: unknown, reference: string): { layers: string[]; sizeBytes: number } {
  if (isIndexShaped(json)) throw rejected(reference, 'its index names another index where a manifest should be');
  const parsed = Manifest.safeParse(json);
  const mediaType = parsed.success ? (parsed.data.mediaType ?? OCI_MANIFEST) : '';
  if (!parsed.success || (mediaType !== OCI_MANIFEST && mediaType !== DOCKER_MANIFEST)) {
    throw rejected(reference, 'its manifest is neither an OCI nor a Docker (v2, schema 2) image manifest');
  }
  const { layers, config } = parsed.data;
  return {
    layers: layers.map((layer) => layer.digest),
    sizeBytes: layers.reduce((sum, layer) => sum + layer.size, config.size),
  };
}
