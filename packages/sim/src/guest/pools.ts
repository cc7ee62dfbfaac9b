/** Pools of user.cfg: `pool:<name>:<comment>:<guests>:<storages>:` (pve-access-control src/PVE/AccessControl.pm). */

import { ToolError } from '../call/tool.ts';
import { readPveFile, writePveFile } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';

export interface Pool {
  readonly name: string;
  readonly comment: string;
}

export function poolsOf(host: Host): Pool[] {
  const pools = lines(host).flatMap((line) => {
    const [kind, name = '', comment = ''] = line.split(':');
    return kind === 'pool' ? [{ name, comment: decodeURIComponent(comment) }] : [];
  });
  return pools.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function requirePool(host: Host, pool: string | undefined): void {
  if (pool === undefined || lines(host).some((line) => line.startsWith(`pool:${pool}:`))) return;
  throw new ToolError(`403 Permission check failed (pool '${pool}' does not exist)\n`, 2);
}

export function addToPool(host: Host, pool: string | undefined, vmid: number): void {
  if (pool === undefined) return;
  const changed = lines(host).map((line) => {
    const [kind, name, comment = '', guests = '', ...rest] = line.split(':');
    if (kind !== 'pool' || name !== pool) return line;
    const ids = [...guests.split(',').filter((id) => id !== ''), String(vmid)].sort((a, b) => Number(a) - Number(b));
    return [kind, name, comment, ids.join(','), ...rest].join(':');
  });
  writePveFile(host, { path: 'user.cfg', text: changed.join('\n') });
}

/** What a guest that goes leaves behind in user.cfg: its place in a pool, and the rights over it. */
export function removeFromPool(host: Host, vmid: number): void {
  const before = lines(host);
  const after = before.flatMap((line) => {
    if (new RegExp(`^acl:[^:]*:/vms/${vmid}:`).test(line)) return [];
    const [kind, name = '', comment = '', guests = '', ...rest] = line.split(':');
    if (kind !== 'pool' || !guests.split(',').includes(String(vmid))) return [line];
    const left = guests.split(',').filter((id) => id !== String(vmid));
    return [[kind, name, comment, left.join(','), ...rest].join(':')];
  });
  if (after.join('\n') !== before.join('\n')) writePveFile(host, { path: 'user.cfg', text: after.join('\n') });
}

function lines(host: Host): string[] {
  return (readPveFile(host, 'user.cfg') ?? '').split('\n');
}
