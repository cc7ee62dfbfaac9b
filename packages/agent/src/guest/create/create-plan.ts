import { formatSize, limits, parseDatasetName } from '@pxmgr/contract';
import type { ContainerSpec, Mount } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command } from '@pxmgr/kit/exec/command';
import { needsAutodevHook } from '../../device/autodev.ts';
import type { DevicePlan } from '../../device/passthrough.ts';
import { type BindMount, createCommand, type NewVolumeMount, setCommand } from '../pct-args.ts';
import type { CreateRequest } from './check-spec.ts';
import { encodeEntrypoint, needsEncoding } from './entrypoint.ts';
import type { SourceFacts } from './source-facts.ts';

/** Everything create will do, decided before anything is done. */
export interface CreatePlan {
  readonly create: Command;
  /** After the extraction; undefined when there is nothing to add. */
  readonly finish: Command | undefined;
  readonly binds: readonly BindMount[];
  readonly volumes: readonly NewVolumeMount[];
  readonly storages: readonly string[];
  /** Stored form of `entrypoint`; undefined = what Proxmox wrote stays. */
  readonly entrypoint: string | undefined;
  /** Tags after the edit; during create the operation's own tag is among them, so that recovery knows its guest. */
  readonly tags: readonly string[];
  readonly rootfsBytes: number;
  /** GPU nodes are given by their stable names: a hook gives them the usual ones at each start. */
  readonly needsAutodevHook: boolean;
  readonly warnings: readonly string[];
}

export interface PlanInput {
  readonly request: CreateRequest;
  readonly facts: SourceFacts;
  readonly devices: DevicePlan;
  /** Mount point of each dataset that the spec names. */
  readonly datasets: ReadonlyMap<string, string>;
  /** Tag that marks the guest while it is not finished. */
  readonly operationTag: string;
}

const GIB = 2 ** 30;
const DEFAULT_MEMORY_BYTES = 512 * 2 ** 20;
const DEFAULT_ROOTFS_BYTES = 4 * GIB;
const DEFAULT_VOLUME_BYTES = 4 * GIB;
/** Tag for people and filters; identity is the uid line. */
const OUR_TAG = 'pxmgr';

/** As Proxmox stores them, with ours. */
export function ourTags(tags: readonly string[]): string[] {
  return [...new Set([OUR_TAG, ...tags.map((tag) => tag.toLowerCase())])].sort();
}

/** Pure. Errors: PXM_INPUT_INVALID, PXM_IMAGE_REJECTED (an entrypoint that cannot be expressed). */
export function planCreate(input: PlanInput): CreatePlan {
  const { request, facts, devices } = input;
  const { spec } = request;
  const volumes = planVolumes(spec, facts);
  const binds = planBinds(spec, volumes.length, input.datasets);
  refuseHidden(volumes, binds);
  const rootfsBytes = planRootfs(spec, facts);
  const tags = ourTags(spec.tags);
  const create = createCommand({
    vmid: request.vmid,
    template: facts.template,
    hostname: spec.name,
    storage: spec.storage,
    rootfsBytes,
    volumes,
    networks: spec.networks,
    devices: devices.entries,
    cores: spec.cores,
    memoryBytes: spec.memoryBytes === 0n ? DEFAULT_MEMORY_BYTES : Number(spec.memoryBytes),
    swapBytes: Number(spec.swapBytes),
    unprivileged: !spec.privileged,
    onBoot: spec.onBoot,
    features: [...spec.features].sort(),
    tags: [...tags, input.operationTag],
    description: spec.description,
    nameservers: spec.nameservers,
    searchDomain: spec.searchDomain,
    osType: spec.osType === '' ? facts.osTypeOption : spec.osType,
    architecture: facts.architectureOption,
  });
  return {
    create,
    finish: setCommand(request.vmid, { binds, protection: spec.protection }),
    binds,
    volumes,
    storages: [...new Set([spec.storage, ...volumes.map((volume) => volume.storage)])],
    entrypoint: planEntrypoint(spec, facts),
    tags,
    rootfsBytes,
    needsAutodevHook: needsAutodevHook(devices.entries),
    warnings: devices.warnings,
  };
}

/** Volumes of the spec and of the image, parents first; a mount of the spec at an image's volume path replaces it. */
function planVolumes(spec: ContainerSpec, facts: SourceFacts): NewVolumeMount[] {
  const taken = new Set(spec.mounts.map((mount) => mount.target));
  const volumeBytes = spec.volumeBytes === 0n ? DEFAULT_VOLUME_BYTES : Number(spec.volumeBytes);
  const declared = facts.volumes
    .filter((target) => !taken.has(target))
    .map((target) => ({ target, storage: spec.storage, sizeBytes: volumeBytes, readOnly: false, backup: true }));
  const asked = spec.mounts.flatMap((mount) => {
    if (mount.source?.$case !== 'volume') return [];
    const { storage, sizeBytes } = mount.source.value;
    return [
      {
        target: mount.target,
        storage: storage === '' ? spec.storage : storage,
        sizeBytes: sizeBytes === 0n ? volumeBytes : Number(sizeBytes),
        readOnly: mount.readOnly,
        backup: mount.backup,
      },
    ];
  });
  return [...declared, ...asked]
    .sort((a, b) => (a.target < b.target ? -1 : 1))
    .map((volume, index) => ({ ...volume, index }));
}

function planBinds(spec: ContainerSpec, firstIndex: number, datasets: ReadonlyMap<string, string>): BindMount[] {
  const binds = spec.mounts
    .filter((mount) => mount.source?.$case !== 'volume')
    .sort((a, b) => (a.target < b.target ? -1 : 1))
    .map((mount, index) => ({
      index: firstIndex + index,
      source: bindSource(mount, datasets),
      target: mount.target,
      readOnly: mount.readOnly,
    }));
  if (firstIndex + binds.length > limits.MOUNT_INDEX_MAX + 1) throw invalid('mounts: there are too many');
  return binds;
}

/** Binds are mounted after all volumes: one on a folder above a volume would cover it, and the guest would write into the bind. */
function refuseHidden(volumes: readonly NewVolumeMount[], binds: readonly BindMount[]): void {
  const problems = binds.flatMap((bind) =>
    volumes
      .filter((volume) => volume.target.startsWith(`${bind.target}/`))
      .map((volume) => `mount ${bind.target}: it would hide the volume at ${volume.target}`),
  );
  if (problems.length > 0)
    throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}

function bindSource(mount: Mount, datasets: ReadonlyMap<string, string>): string {
  if (mount.source?.$case === 'bind') return mount.source.value;
  const name = mount.source?.$case === 'dataset' ? mount.source.value : '';
  const mountpoint = datasets.get(name);
  if (mountpoint?.startsWith('/') === true) return mountpoint;
  throw invalid(
    `mount ${mount.target}: dataset ${name} is not mounted anywhere (mountpoint ${mountpoint ?? 'unknown'})`,
  );
}

function planRootfs(spec: ContainerSpec, facts: SourceFacts): number {
  const needed = Math.ceil(facts.unpackedBytes * 1.1);
  if (spec.rootfsBytes === 0n) return Math.max(DEFAULT_ROOTFS_BYTES, Math.ceil((2 * needed) / GIB) * GIB);
  const wanted = Number(spec.rootfsBytes);
  if (facts.kind === 'template' || wanted >= needed) return wanted;
  throw invalid(
    `root file system of ${formatSize(wanted)} is too small: the image unpacks to ${formatSize(facts.unpackedBytes)}`,
  );
}

/** Proxmox overwrites an entrypoint given to create by the image's, and quotes single quotes in a way LXC misreads. */
function planEntrypoint(spec: ContainerSpec, facts: SourceFacts): string | undefined {
  const argv = spec.entrypoint.length > 0 ? spec.entrypoint : needsEncoding(facts.argv) ? facts.argv : undefined;
  if (argv === undefined) return undefined;
  const encoded = encodeEntrypoint(argv, facts.hasShell);
  if (encoded.ok) return encoded.value;
  if (spec.entrypoint.length > 0) throw invalid(`entrypoint: ${encoded.reason}`);
  throw new PxmError('PXM_IMAGE_REJECTED', {
    reference: facts.imageReference,
    problems: `its entrypoint: ${encoded.reason}`,
  });
}

/** Names of the datasets whose mount points the plan needs. */
export function datasetsOf(spec: ContainerSpec): string[] {
  return spec.mounts.flatMap((mount) => {
    if (mount.source?.$case !== 'dataset') return [];
    return parseDatasetName(mount.source.value).ok ? [mount.source.value] : [];
  });
}

function invalid(problem: string): PxmError {
  return new PxmError('PXM_INPUT_INVALID', { count: '1', problems: problem });
}
