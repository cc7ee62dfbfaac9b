/** The `devN` of a container: what each gives, what waits for a restart, which numbers are free. Pure. */
import { limits } from '@pxmgr/contract';
import type { GuestConfig } from '../config-file.ts';
import { parsePropertyString } from '../property-string.ts';

export interface DeviceSlot {
  /** dev0 */
  readonly key: string;
  readonly path: string;
  /** now: as it is. attach: only after a restart. detach: until then. */
  readonly state: 'now' | 'attach' | 'detach';
}

/** A value that waits in place of another one counts as the waiting one. */
export function deviceSlots(config: GuestConfig): DeviceSlot[] {
  const deleted = pendingDeletes(config);
  const slots = new Map<string, DeviceSlot>();
  for (const [key, value] of config.entries)
    if (isDevice(key)) slots.set(key, { key, path: pathOf(value), state: deleted.has(key) ? 'detach' : 'now' });
  for (const [key, value] of config.pending.entries)
    if (isDevice(key)) slots.set(key, { key, path: pathOf(value), state: 'attach' });
  return [...slots.values()].sort((a, b) => Number(a.key.slice(3)) - Number(b.key.slice(3)));
}

/** Keys that a restart takes away; `!` marks those whose volume goes too (proxmox/pve-guest-common src/PVE/AbstractConfig.pm). */
export function pendingDeletes(config: GuestConfig): Set<string> {
  const words = (config.pending.entries.get('delete') ?? '').split(/[,;\s]+/);
  return new Set(words.map((word) => word.replace(/^!/, '')).filter((word) => word !== ''));
}

/** The lowest free numbers; fewer when there are not enough. */
export function freeSlots(config: GuestConfig, count: number): string[] {
  const taken = new Set(deviceSlots(config).map(({ key }) => key));
  const free: string[] = [];
  for (let index = 0; index <= limits.DEVICE_INDEX_MAX && free.length < count; index += 1)
    if (!taken.has(`dev${index}`)) free.push(`dev${index}`);
  return free;
}

/** False when the guest has an id map of its own that leaves the gid out: it would silently become a group of the host. */
export function mapsGid(config: GuestConfig, gid: number): boolean {
  const maps = config.raw
    .filter(([key]) => key === 'lxc.idmap')
    .map(([, value]) => value.trim().split(/\s+/))
    .filter(([kind]) => kind === 'g' || kind === 'b');
  return (
    maps.length === 0 || maps.some(([, first, , count]) => gid >= Number(first) && gid < Number(first) + Number(count))
  );
}

function isDevice(key: string): boolean {
  return /^dev\d+$/.test(key);
}

function pathOf(value: string): string {
  return parsePropertyString(value, 'path').get('path') ?? '';
}
