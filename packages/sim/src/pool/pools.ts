/** Pools as a whole: made, exported, destroyed, brought back. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import type { Host } from '../host/host.ts';
import { attach, mountsItself, unmountPool } from './mounting.ts';
import {
  changePools,
  guidOf,
  newDataset,
  type PoolRecord,
  type PoolState,
  snapshotDirectory,
  subtree,
  type Vdev,
} from './state.ts';

export interface PoolSpec {
  readonly name: string;
  readonly sizeBytes: number;
  /** Default: one disk. */
  readonly vdevs?: readonly Vdev[];
  /** In-host path, default `/NAME`. */
  readonly mountpoint?: string;
}

/** Makes a pool with its root dataset; the properties are those `zpool create -O` would set. */
export function createPool(
  host: Host,
  spec: PoolSpec,
  properties: Readonly<Record<string, string>> = { compression: 'lz4' },
): void {
  changePools(host, (state) => addPool(host, state, { ...spec, properties }));
}

export function addPool(
  host: Host,
  state: PoolState,
  spec: PoolSpec & { properties: Readonly<Record<string, string>> },
): PoolRecord {
  if (state.pools.some((pool) => pool.name === spec.name)) throw new Error(`pool ${spec.name} exists`);
  const pool: PoolRecord = {
    name: spec.name,
    sizeBytes: spec.sizeBytes,
    guid: guidOf(host, `pool ${spec.name} ${state.txg}`),
    vdevs: spec.vdevs ?? [{ name: `ata-STANDIN_${spec.name}-part3`, state: 'ONLINE' }],
    health: 'ONLINE',
    errorCount: 0,
  };
  state.pools.push(pool);
  const { mountpoint } = spec;
  const own = { ...spec.properties, ...(mountpoint === undefined ? {} : { mountpoint }) };
  const root = newDataset(host, state, { name: spec.name, type: 'filesystem', properties: own });
  state.datasets.push(root);
  if (mountpoint !== 'none') attach(host, state, root);
  return pool;
}

/** A directory that must not be covered by a new pool. */
export function isOccupied(host: Host, inHost: string): boolean {
  const path = host.path(inHost);
  return existsSync(path) && readdirSync(path).length > 0;
}

/** The pool leaves the host; its datasets stay with it. */
export function takeAway(host: Host, state: PoolState, at: { name: string; isDestroyed: boolean }): void {
  unmountPool(host, state, at.name);
  const gone = state.pools.find((pool) => pool.name === at.name);
  if (gone === undefined) return;
  const datasets = subtree(state, at.name);
  state.pools = state.pools.filter((pool) => pool !== gone);
  state.datasets = state.datasets.filter((dataset) => !datasets.includes(dataset));
  state.away = [...(state.away ?? []), { pool: gone, datasets, isDestroyed: at.isDestroyed }];
}

export function bringBack(host: Host, state: PoolState, at: { name: string; as: string; mount: boolean }): void {
  const found = state.away?.find((entry) => entry.pool.name === at.name);
  if (found === undefined) return;
  state.away = state.away?.filter((entry) => entry !== found) ?? [];
  const rename = (name: string): string => `${at.as}${name.slice(at.name.length)}`;
  state.pools.push({ ...found.pool, name: at.as });
  const datasets = found.datasets.map((dataset) => ({
    ...dataset,
    name: rename(dataset.name),
    ...(dataset.origin === undefined ? {} : { origin: rename(dataset.origin) }),
  }));
  state.datasets.push(...datasets);
  if (at.mount) for (const dataset of datasets) if (mountsItself(state, dataset)) attach(host, state, dataset);
}

/** Files of pools that nobody can bring back any more (their devices are used by another). */
export function forget(host: Host, state: PoolState, name: string): void {
  for (const entry of state.away?.filter(({ pool }) => pool.name === name) ?? [])
    for (const dataset of entry.datasets) {
      rmSync(host.simPath('unmounted', dataset.guid), { recursive: true, force: true });
      for (const snapshot of dataset.snapshots)
        rmSync(snapshotDirectory(host, snapshot), { recursive: true, force: true });
    }
  state.away = state.away?.filter(({ pool }) => pool.name !== name) ?? [];
}
