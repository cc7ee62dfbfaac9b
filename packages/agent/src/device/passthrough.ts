import { parseAbsolutePath } from '@pxmgr/contract';
import type { Device } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { HostPaths } from '../host/paths.ts';
import { chooseAccess, type GuestAccounts } from './gid.ts';
import type { Gpu } from './gpu.ts';

/** One `devN` of a container. */
export interface DeviceEntry {
  readonly path: string;
  readonly gid: number;
  readonly mode: string;
}

export interface DevicePlan {
  readonly entries: readonly DeviceEntry[];
  readonly warnings: readonly string[];
}

const GPU_GROUPS = ['render', 'video'] as const;
/** AMD's compute interface, one node for all cards (torvalds/linux drivers/gpu/drm/amd/amdkfd). */
const KFD = '/dev/kfd';

/** The device wishes a GPU stands for: its own nodes, and what its driver needs beside them. */
export function gpuDevices(gpu: Gpu, paths: HostPaths): Device[] {
  const shared = gpu.vendor === 'amd' && paths.exists(KFD) && !gpu.devicePaths.includes(KFD) ? [KFD] : [];
  return [...gpu.devicePaths, ...shared].map((path) => ({
    path,
    deviceId: gpu.address,
    groups: groupsFor(path),
    mode: '',
  }));
}

/** card nodes belong to video, everything that computes to render. */
function groupsFor(path: string): string[] {
  return /card\d*$/.test(path) ? [...GPU_GROUPS].reverse() : [...GPU_GROUPS];
}

/**
 * Wishes to `devN` values, in order, each path once. A path that is not a device now is refused here: `pct create`
 * would fail on it, and so would every start.
 */
export function planDevices(devices: readonly Device[], guest: GuestAccounts, paths: HostPaths): DevicePlan {
  const entries = new Map<string, DeviceEntry>();
  const warnings: string[] = [];
  const problems: string[] = [];
  for (const device of devices) {
    const parsed = parseAbsolutePath(device.path);
    if (!parsed.ok || !parsed.value.startsWith('/dev/')) {
      problems.push(`device "${device.path}" ${parsed.ok ? 'is not below /dev' : parsed.reason}`);
      continue;
    }
    if (entries.has(parsed.value)) continue;
    if (!paths.exists(parsed.value))
      throw new PxmError('PXM_DEVICE_NOT_FOUND', { device: parsed.value, node: 'this node' });
    const groups = device.groups.length > 0 ? device.groups : groupsFor(parsed.value);
    const access = chooseAccess({ groups, mode: device.mode, path: parsed.value }, guest);
    entries.set(parsed.value, { path: parsed.value, gid: access.gid, mode: access.mode });
    if (access.warning !== undefined) warnings.push(`${parsed.value}: ${access.warning}`);
  }
  if (problems.length > 0)
    throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
  return { entries: [...entries.values()], warnings };
}
