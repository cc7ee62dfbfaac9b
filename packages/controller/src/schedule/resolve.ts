/** The winner's spec with nothing left to choose: storages, device paths. */
import type { ContainerSpec, Device } from '@pxmgr/contract/common';
import type { Claim } from '../domain/reservation.ts';
import { countedCores, type GpuView, type NodeSnapshot } from '../domain/snapshot.ts';
import type { Assessed } from './evaluate.ts';
import type { Terms } from './feasible.ts';
import { deviceClaims } from './fit-device.ts';

/** Takes a spec with defaults filled in and the feasible node that was chosen. */
export function resolveSpec(spec: ContainerSpec, chosen: Assessed): ContainerSpec {
  const storage = chosen.fit.storage?.id ?? spec.storage;
  const mounts = spec.mounts.map((mount) => {
    if (mount.source?.$case !== 'volume' || mount.source.value.storage !== '') return mount;
    return { ...mount, source: { $case: 'volume' as const, value: { ...mount.source.value, storage } } };
  });
  return { ...spec, storage, mounts, devices: resolveDevices(spec.devices, chosen.node, chosen.fit.gpus) };
}

/** The named devices with the id of what they belong to, and the nodes of the chosen cards. */
export function resolveDevices(devices: readonly Device[], node: NodeSnapshot, gpus: readonly GpuView[]): Device[] {
  const named = new Set(devices.map((device) => device.path));
  const added = gpus.flatMap(gpuDevices).filter((device) => !named.has(device.path));
  const own = devices.map((device) =>
    device.deviceId === '' ? { ...device, deviceId: node.usbPaths.get(device.path) ?? '' } : device,
  );
  return [...own, ...added];
}

/** Stable names stand for the numbered nodes, which may change at the next boot. */
function gpuDevices(gpu: GpuView): Device[] {
  const hasStable = gpu.devicePaths.some((path) => path.startsWith('/dev/dri/by-path/'));
  return gpu.devicePaths
    .filter((path) => !(hasStable && /^\/dev\/dri\/(?:card|renderD)\d+$/.test(path)))
    .map((path) => ({ path, deviceId: gpu.address, groups: groupsOf(path), mode: '' }));
}

function groupsOf(path: string): string[] {
  if (/render/.test(path) || path === '/dev/kfd') return ['render', 'video'];
  return path.startsWith('/dev/dri/') ? ['video'] : [];
}

/** What the placement takes from the node. */
export function claimOf(terms: Terms, chosen: Assessed): Claim {
  return {
    memoryBytes: terms.ask.memoryBytes,
    cpuCores: countedCores(terms.ask.cores),
    pools: chosen.fit.pools,
    devices: deviceClaims(terms.ask, chosen.node, chosen.fit.gpus),
  };
}
