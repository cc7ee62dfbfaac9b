/** Changes of a pool's devices and its scans. */
import { existsSync } from 'node:fs';
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
  if (!existsSync(host.path(at.device))) refuse(`cannot resolve path '${at.device}'`);
  const owner = state.pools.find((pool) => leaves(pool.vdevs).some((vdev) => vdev.name === at.device));
  if (owner !== undefined)
    refuse(
      `invalid vdev specification\n${at.force ? 'the following errors must be manually repaired' : "use '-f' to override the following errors"}:\n${at.device} is part of active pool '${owner.name}'`,
    );
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

export function isScanning(pool: PoolRecord): boolean {
  return pool.scan !== undefined && pool.scan.endTime > Date.now() / 1000;
}
