/** Properties, holds, promotion and mounting: changes that move no files. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Host } from '../host.ts';
import { isUserProperty, storedValue } from './properties.ts';
import {
  changePools,
  type DatasetRecord,
  directoryOf,
  findDataset,
  findSnapshot,
  mountpointOf,
  type PoolState,
  readPools,
  type SnapshotRecord,
} from './state.ts';
import { usageOf } from './usage.ts';
import { type Pairs, refuse } from './verbs.ts';

/** All pairs or none; `zfs set` ends with 255. */
export function setProperties(host: Host, name: string, pairs: Pairs): void {
  const failed = (reason: string): never => refuse(`cannot set property for '${name}': ${reason}`, 255);
  changePools(host, (state) => {
    const snapshot = findSnapshot(state, name)?.snapshot;
    const dataset = snapshot === undefined ? findDataset(state, name) : undefined;
    const target = snapshot ?? dataset ?? refuse(`cannot open '${name}': dataset does not exist`);
    const values = pairs.map(([key, value]) => [key, checkedValue(key, value, failed)] as const);
    if (snapshot !== undefined && values.some(([key]) => !isUserProperty(key)))
      failed('this property can not be modified for snapshots');
    if (dataset !== undefined) requireRoom(host, state, { dataset, values, failed });
    const before = dataset === undefined ? undefined : directoryOf(host, state, dataset);
    for (const [key, value] of values) target.properties[key] = value;
    if (dataset !== undefined) remount(host, state, { dataset, before });
  });
}

function checkedValue(key: string, value: string, failed: (reason: string) => never): string {
  try {
    return storedValue(key, value);
  } catch (err) {
    return failed((err as Error).message);
  }
}

function requireRoom(
  host: Host,
  state: PoolState,
  at: { dataset: DatasetRecord; values: Pairs; failed: (reason: string) => never },
): void {
  const usage = usageOf(host, state).get(at.dataset.name);
  for (const [key, value] of at.values) {
    const held = key === 'refquota' ? usage?.referenced : key === 'quota' ? usage?.used : undefined;
    if (held !== undefined && value !== '0' && Number(value) < held)
      at.failed('size is less than current used or reserved space');
  }
}

/** The directory moves with the mountpoint, so the files stay with their dataset. */
function remount(host: Host, state: PoolState, at: { dataset: DatasetRecord; before: string | undefined }): void {
  const now = directoryOf(host, state, at.dataset);
  if (now === at.before) return;
  at.dataset.isMounted = now !== undefined;
  if (now === undefined) return;
  mkdirSync(dirname(now), { recursive: true });
  if (at.before !== undefined && existsSync(at.before) && !existsSync(now)) renameSync(at.before, now);
  else mkdirSync(now, { recursive: true });
}

export function inheritProperty(host: Host, property: string, name: string): void {
  if (/^(ref)?(quota|reservation)$/.test(property)) {
    refuse(
      `'${property}' property cannot be inherited\nuse 'zfs set ${property}=none' to clear\nuse 'zfs inherit -S ${property}' to revert to received value`,
    );
  }
  changePools(host, (state) => {
    const target = holderOf(state, name);
    target.properties = Object.fromEntries(Object.entries(target.properties).filter(([name]) => name !== property));
  });
}

function holderOf(state: PoolState, name: string): DatasetRecord | SnapshotRecord {
  return (
    findSnapshot(state, name)?.snapshot ??
    findDataset(state, name) ??
    refuse(`cannot open '${name}': dataset does not exist`)
  );
}

export function hold(host: Host, tag: string, name: string): void {
  changePools(host, (state) => {
    if (!name.includes('@')) refuse(`'${name}' is not a snapshot`);
    const found = findSnapshot(state, name) ?? refuse(`cannot hold snapshot '${name}': dataset does not exist`);
    if (found.snapshot.holds.includes(tag))
      refuse(`cannot hold snapshot '${name}': tag already exists on this dataset`);
    found.snapshot.holds.push(tag);
  });
}

export function release(host: Host, tag: string, name: string): void {
  changePools(host, (state) => {
    const found =
      findSnapshot(state, name) ?? refuse(`cannot release hold from snapshot '${name}': dataset does not exist`);
    if (!found.snapshot.holds.includes(tag))
      refuse(`cannot release hold from snapshot '${name}': no such tag on this dataset`);
    found.snapshot.holds = found.snapshot.holds.filter((entry) => entry !== tag);
  });
}

export function mountDataset(host: Host, name: string): void {
  changePools(host, (state) => {
    const dataset = findDataset(state, name) ?? refuse(`cannot open '${name}': dataset does not exist`);
    const mountpoint = mountpointOf(state, dataset);
    if (mountpoint === undefined) refuse(`cannot open '${name}': operation not applicable to datasets of this type`);
    if (mountpoint === 'none') refuse(`cannot mount '${name}': no mountpoint set`);
    if (mountpoint === 'legacy')
      refuse(`cannot mount '${name}': legacy mountpoint\nuse mount(8) to mount this filesystem`);
    if (dataset.properties['canmount'] === 'off') refuse(`cannot mount '${name}': 'canmount' property is set to 'off'`);
    if (dataset.isMounted) refuse(`cannot mount '${name}': filesystem already mounted`);
    dataset.isMounted = true;
  });
}

export function unmountDataset(host: Host, name: string): void {
  changePools(host, (state) => {
    const dataset = findDataset(state, name) ?? refuse(`cannot open '${name}': dataset does not exist`);
    if (!dataset.isMounted) refuse(`cannot unmount '${name}': not currently mounted`);
    dataset.isMounted = false;
  });
}

/** Every mounted file system with its path, as `zfs mount` prints them. */
export function mounted(host: Host): { name: string; path: string }[] {
  const state = readPools(host);
  return state.datasets
    .filter((dataset) => dataset.isMounted)
    .map((dataset) => ({ name: dataset.name, path: mountpointOf(state, dataset) ?? '-' }));
}
