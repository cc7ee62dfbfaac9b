/** Changes of a pool's devices and its scans. */
import { existsSync, lstatSync } from 'node:fs';
import type { Host } from '../host/host.ts';
import { refuse } from './refuse.ts';
import { guidOf, type PoolRecord, type PoolState, type Scan, type Vdev } from './state.ts';

export function leaves(vdevs: readonly Vdev[]): Vdev[] {
  return vdevs.flatMap((vdev) => (vdev.children === undefined ? [vdev] : leaves(vdev.children)));
}

export function vdevGuid(host: Host, pool: PoolRecord, name: string): string {
  return guidOf(host, `vdev ${pool.guid} ${name}`);
}

/** A tree with one leaf changed; its parents' states follow. */
export function changed(vdevs: readonly Vdev[], name: string, change: (vdev: Vdev) => Vdev | readonly Vdev[]): Vdev[] {
  return vdevs.flatMap((vdev) => {
    if (vdev.children === undefined) return vdev.name === name ? change(vdev) : [vdev];
    const children = changed(vdev.children, name, change);
    const [only] = children;
    if (children.length === 1 && only !== undefined && !/^raidz/.test(vdev.name)) return [only];
    return [{ ...vdev, state: children.every(isOnline) ? 'ONLINE' : 'DEGRADED', children }];
  });
}

function isOnline(vdev: Vdev): boolean {
  return vdev.state === 'ONLINE';
}

/** May that leaf be missed: is there another good one beside it? */
export function isSpare(vdevs: readonly Vdev[], name: string): boolean {
  return vdevs.some(
    ({ children }) =>
      children !== undefined &&
      (children.some((one) => one.name === name)
        ? children.filter((one) => one.name !== name && isOnline(one)).length > 0
        : isSpare(children, name)),
  );
}

export function setVdevs(pool: PoolRecord, vdevs: readonly Vdev[]): void {
  pool.vdevs = vdevs;
  pool.health = vdevs.every(isOnline) ? 'ONLINE' : 'DEGRADED';
}

export function requireDevice(pool: PoolRecord, at: { device: string; verb: string }): Vdev {
  return (
    leaves(pool.vdevs).find((vdev) => vdev.name === at.device) ??
    refuse(`cannot ${at.verb} ${at.device}: no such device in pool`)
  );
}

/** A device that no pool has yet: a file or node of the host. */
export function requireFree(host: Host, state: PoolState, at: { device: string; force: boolean }): void {
  if (!at.device.startsWith('/'))
    refuse(`cannot open '${at.device}': no such device in /dev\nmust be a full path or shorthand device name`);
  if (!existsSync(host.path(at.device))) refuse(`cannot resolve path '${at.device}'`);
  if (lstatSync(host.path(at.device)).isDirectory())
    refuse(`cannot use '${at.device}': must be a block device or regular file`);
  const owner = state.pools.find((pool) => leaves(pool.vdevs).some((vdev) => vdev.name === at.device));
  if (owner !== undefined)
    refuse(
      `invalid vdev specification\n${at.force ? 'the following errors must be manually repaired' : "use '-f' to override the following errors"}:\n${at.device} is part of active pool '${owner.name}'`,
    );
}

const MIB = 1024 ** 2;
/** SPA_MINDEVSIZE of include/sys/fs/zfs.h. */
export const LEAST_BYTES = 64 * MIB;
/** What a device that is no file of the host can hold. */
const DISK_BYTES = 512 * MIB;

export function smallestDevice(host: Host, vdevs: readonly Vdev[]): number {
  const size = (name: string): number | undefined => {
    const found = lstatSync(host.path(name), { throwIfNoEntry: false });
    return found?.isFile() === true ? found.size : undefined;
  };
  return Math.min(...leaves(vdevs).map(({ name }) => size(name) ?? DISK_BYTES));
}

/** Labels and what does not fill a metaslab are left out (module/zfs/vdev.c vdev_metaslab_set_size). */
export function usableBytes(deviceBytes: number): number {
  const metaslab = Math.max(16 * MIB, 2 ** Math.floor(Math.log2(deviceBytes / 16)));
  return Math.floor((deviceBytes - 4.5 * MIB) / metaslab) * metaslab;
}

/** Seconds a scan of a small pool takes. */
const SCAN_SECONDS = 1;
/** Labels and metadata that were written while a device was away. */
const EMPTY_RESILVER_BYTES = 18_432;

export function startScan(pool: PoolRecord, kind: Scan['function'], bytes: number): void {
  const now = Date.now() / 1000;
  const [repaired, length] = kind === 'SCRUB' ? [0, SCAN_SECONDS] : [Math.max(bytes, EMPTY_RESILVER_BYTES), 0];
  pool.scan = {
    function: kind,
    startTime: now,
    endTime: now + length,
    examinedBytes: bytes,
    repairedBytes: repaired,
    errors: pool.errorCount,
  };
}

export function startResilver(pool: PoolRecord, device: string, bytes: number): void {
  startScan(pool, 'RESILVER', bytes);
  if (pool.scan !== undefined) pool.scan = { ...pool.scan, device };
}

export function cancelScan(pool: PoolRecord): void {
  if (pool.scan !== undefined) pool.scan = { ...pool.scan, endTime: Date.now() / 1000, isCanceled: true };
}

export function isScanning(pool: PoolRecord): boolean {
  return pool.scan !== undefined && pool.scan.endTime > Date.now() / 1000;
}
