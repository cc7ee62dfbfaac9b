/** A wish for a container in the scheduler's terms: plain numbers and names, defaults filled in. */
import type { ContainerSpec, GpuRequest, Mount } from '@pxmgr/contract/common';
import type { PlacementConstraints } from '@pxmgr/contract/controller';
import { platformArchitecture } from './snapshot-build.ts';

const MIB = 1024 * 1024;

/** Rules of the operator that hold for every placement. */
export interface PlacementPolicy {
  /** Factor on a node's memory; 1 = guests may be configured for as much as there is. */
  readonly memoryOvercommit: number;
  /** Cores of guests per core of the node. */
  readonly cpuOvercommit: number;
  /** Kept for the host itself. */
  readonly hostMemoryBytes: number;
  /** Whether guests that do not run count with their configured memory. */
  readonly countStopped: boolean;
  readonly defaultMemoryBytes: number;
  readonly defaultRootfsBytes: number;
  readonly defaultVolumeBytes: number;
}

/** Rootfs default: twice what `pct create` takes, because images are unpacked into it. */
export const DEFAULT_POLICY: PlacementPolicy = {
  memoryOvercommit: 1,
  cpuOvercommit: 8,
  hostMemoryBytes: 1024 * MIB,
  countStopped: true,
  defaultMemoryBytes: 512 * MIB,
  defaultRootfsBytes: 8192 * MIB,
  defaultVolumeBytes: 4096 * MIB,
};

export interface VolumeAsk {
  /** Empty = where the root file system goes. */
  readonly storage: string;
  readonly bytes: number;
}

export interface GpuAsk {
  readonly count: number;
  readonly vendor: string;
  readonly address: string;
  readonly vramBytes: number;
  readonly exclusive: boolean;
}

export interface PlacementAsk {
  readonly name: string;
  /** Name or uid; empty = any. */
  readonly node: string;
  readonly excludeNodes: readonly string[];
  /** 0 = allocate. */
  readonly vmid: number;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly storage: string;
  readonly rootfsBytes: number;
  readonly volumes: readonly VolumeAsk[];
  readonly capabilities: readonly string[];
  /** Empty = any. */
  readonly architecture: string;
  readonly imageDigest: string;
  readonly imageBytes: number;
  readonly imageReference: string;
  readonly template: string;
  readonly gpu: GpuAsk | undefined;
  readonly devicePaths: readonly string[];
  readonly datasets: readonly string[];
  readonly bindSources: readonly string[];
  readonly bridges: readonly string[];
}

/** Sizes that were left open become the policy's; `imageVolumes` become new volumes unless a mount covers their target. */
export function fillDefaults(
  spec: ContainerSpec,
  policy: PlacementPolicy,
  imageVolumes: readonly string[],
): ContainerSpec {
  const orDefault = (value: bigint, fallback: number): bigint => (value > 0n ? value : BigInt(fallback));
  const volumeBytes = orDefault(spec.volumeBytes, policy.defaultVolumeBytes);
  const covered = new Set(spec.mounts.map((mount) => mount.target));
  const own = spec.mounts.map((mount) => {
    if (mount.source?.$case !== 'volume' || mount.source.value.sizeBytes > 0n) return mount;
    return { ...mount, source: { $case: 'volume' as const, value: { ...mount.source.value, sizeBytes: volumeBytes } } };
  });
  const added = [...new Set(imageVolumes)]
    .filter((target) => !covered.has(target))
    .map((target) => ({
      target,
      source: { $case: 'volume' as const, value: { storage: '', sizeBytes: volumeBytes } },
      readOnly: false,
      backup: true,
    }));
  return {
    ...spec,
    memoryBytes: orDefault(spec.memoryBytes, policy.defaultMemoryBytes),
    rootfsBytes: orDefault(spec.rootfsBytes, policy.defaultRootfsBytes),
    mounts: [...own, ...added],
  };
}

/** Takes a spec whose defaults are filled in. */
export function askOf(spec: ContainerSpec, constraints: PlacementConstraints): PlacementAsk {
  return {
    name: spec.name,
    node: constraints.node,
    excludeNodes: constraints.excludeNodes,
    vmid: constraints.vmid,
    cores: spec.cores,
    memoryBytes: Number(spec.memoryBytes),
    storage: spec.storage,
    rootfsBytes: Number(spec.rootfsBytes),
    capabilities: capabilitiesOf(spec),
    gpu: gpuAsk(spec.gpu),
    devicePaths: spec.devices.map((device) => device.path),
    bridges: [...new Set(spec.networks.map((network) => network.bridge).filter((bridge) => bridge !== ''))],
    ...sourceAsk(spec.source),
    ...mountAsk(spec.mounts),
  };
}

type SourceAsk = Pick<PlacementAsk, 'architecture' | 'imageDigest' | 'imageBytes' | 'imageReference' | 'template'>;

function sourceAsk(source: ContainerSpec['source']): SourceAsk {
  if (source?.$case !== 'image') {
    const template = source === undefined ? '' : source.value.volumeId;
    return { architecture: '', imageDigest: '', imageBytes: 0, imageReference: '', template };
  }
  const image = source.value;
  return {
    architecture: platformArchitecture(image.platform.split('/')[1] ?? ''),
    imageDigest: image.digest,
    imageBytes: Number(image.sizeBytes),
    imageReference: image.reference,
    template: '',
  };
}

function mountAsk(mounts: readonly Mount[]): Pick<PlacementAsk, 'volumes' | 'datasets' | 'bindSources'> {
  const volumes: VolumeAsk[] = [];
  const datasets: string[] = [];
  const bindSources: string[] = [];
  for (const { source } of mounts) {
    if (source?.$case === 'volume') {
      volumes.push({ storage: source.value.storage, bytes: Number(source.value.sizeBytes) });
    }
    if (source?.$case === 'dataset') datasets.push(source.value);
    if (source?.$case === 'bind') bindSources.push(source.value);
  }
  return { volumes, datasets, bindSources };
}

function capabilitiesOf(spec: ContainerSpec): string[] {
  const wanted = [spec.source?.$case === 'image' ? 'container.oci' : 'container.lxc'];
  if (spec.gpu !== undefined || spec.devices.length > 0) wanted.push('device.passthrough');
  return wanted;
}

function gpuAsk(request: GpuRequest | undefined): GpuAsk | undefined {
  if (request === undefined) return undefined;
  const { vendor, address, exclusive } = request;
  return { count: Math.max(1, request.count), vendor, address, vramBytes: Number(request.vramBytes), exclusive };
}
