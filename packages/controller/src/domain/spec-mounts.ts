/** Mounts and devices of a spec. */
import { limits, parseAbsolutePath, parseDatasetName, parseStorageId } from '@pxmgr/contract';
import type { Device, Mount, NewVolume } from '@pxmgr/contract/common';
import type { Complain } from './complaint.ts';

/** The guest's kernel file systems: what is mounted there is hidden or breaks the start. */
const TAKEN_TARGETS = ['/proc', '/sys', '/dev'];

export function normaliseMounts(mounts: readonly Mount[]): Mount[] {
  return mounts.map((mount) => {
    const target = cleanPath(mount.target);
    if (mount.source?.$case !== 'bind') return { ...mount, target };
    return { ...mount, target, source: { $case: 'bind', value: cleanPath(mount.source.value) } };
  });
}

function cleanPath(path: string): string {
  const parsed = parseAbsolutePath(path);
  return parsed.ok ? parsed.value : path;
}

export function checkMounts(mounts: readonly Mount[], complain: Complain): void {
  if (mounts.length > limits.MOUNT_INDEX_MAX + 1)
    complain('mounts', `at most ${limits.MOUNT_INDEX_MAX + 1} are possible`);
  const targets = mounts.map((mount) => cleanPath(mount.target));
  mounts.forEach((mount, index) => {
    const at: Complain = (field, text) => {
      complain(`mounts[${index}].${field}`, text);
    };
    checkTarget(mount.target, at);
    checkMountSource(mount, at);
    const target = targets[index] ?? '';
    if (targets.indexOf(target) !== index) at('target', `${target} is mounted twice`);
  });
}

function checkTarget(target: string, at: Complain): void {
  const parsed = parseAbsolutePath(target);
  if (!parsed.ok) {
    at('target', parsed.reason);
    return;
  }
  if (parsed.value === '/') at('target', 'the root file system has its own settings');
  if (TAKEN_TARGETS.some((taken) => parsed.value === taken || parsed.value.startsWith(`${taken}/`))) {
    at('target', `${parsed.value} belongs to the kernel`);
  }
}

function checkMountSource({ source }: Mount, at: Complain): void {
  switch (source?.$case) {
    case 'bind': {
      const parsed = parseAbsolutePath(source.value);
      if (!parsed.ok) at('source', parsed.reason);
      else if (parsed.value === '/') at('source', 'the whole host is not a mount');
      return;
    }
    case 'dataset': {
      const parsed = parseDatasetName(source.value);
      if (!parsed.ok) at('source', parsed.reason);
      return;
    }
    case 'volume':
      checkVolume(source.value, at);
      return;
    default:
      at('source', 'name a host path, a dataset or a size');
  }
}

function checkVolume(volume: NewVolume, at: Complain): void {
  if (volume.sizeBytes >= 2n ** 53n) at('size', 'is larger than 8 PiB');
  if (volume.storage === '') return;
  const parsed = parseStorageId(volume.storage);
  if (!parsed.ok) at('storage', parsed.reason);
}

const MODE = /^0?[0-7]{3}$/;
const GROUP = /^[a-z_][a-z0-9_-]*\$?$/;

export function checkDevices(devices: readonly Device[], complain: Complain): void {
  if (devices.length > limits.DEVICE_INDEX_MAX + 1)
    complain('devices', `at most ${limits.DEVICE_INDEX_MAX + 1} are possible`);
  devices.forEach((device, index) => {
    const at: Complain = (field, text) => {
      complain(`devices[${index}].${field}`, text);
    };
    const parsed = parseAbsolutePath(device.path);
    if (!parsed.ok) at('path', parsed.reason);
    else if (!parsed.value.startsWith('/dev/')) at('path', 'must lie below /dev');
    if (devices.findIndex((other) => other.path === device.path) !== index) at('path', `${device.path} is given twice`);
    if (device.mode !== '' && !MODE.test(device.mode)) at('mode', 'must be octal, e.g. 0660');
    for (const group of device.groups) if (!GROUP.test(group)) at('groups', `"${group}" is not a group name`);
  });
}
