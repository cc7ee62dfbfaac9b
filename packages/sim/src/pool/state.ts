/**
 * pool/: the ZFS of a stand-in host. Pools and datasets are records in `<root>/.sim/pool.json`; each file system is a
 * real directory below the host's root, so files written there are really there, and a snapshot is a real copy.
 * Texts and statuses follow openzfs/zfs 2.3 (cmd/zfs, lib/libzfs). This file keeps the records; verbs.ts changes them.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Host } from '../host.ts';
import { readJson, writeFileAtomicSync } from '../sim-file.ts';
import { withSimLock } from '../sim-lock.ts';

export interface Vdev {
  readonly name: string;
  readonly state: string;
  readonly children?: readonly Vdev[];
}

export interface PoolRecord {
  readonly name: string;
  readonly sizeBytes: number;
  readonly guid: string;
  readonly vdevs: readonly Vdev[];
  health: string;
  /** Data errors that only `zpool status` knows of. */
  errorCount: number;
}

export interface DatasetRecord {
  readonly name: string;
  readonly type: 'filesystem' | 'volume';
  readonly guid: string;
  readonly createtxg: number;
  /** UNIX seconds. */
  readonly creation: number;
  /** Snapshot it was cloned from. */
  origin?: string;
  /** Set properties in canonical form: sizes as byte numbers. */
  properties: Record<string, string>;
  isMounted: boolean;
  snapshots: SnapshotRecord[];
}

export interface SnapshotRecord {
  readonly name: string;
  readonly guid: string;
  readonly createtxg: number;
  readonly creation: number;
  readonly referencedBytes: number;
  properties: Record<string, string>;
  holds: string[];
}

export interface PoolState {
  txg: number;
  pools: PoolRecord[];
  datasets: DatasetRecord[];
}

export function readPools(host: Host): PoolState {
  return readJson<PoolState>(host.simPath('pool.json')) ?? { txg: 1, pools: [], datasets: [] };
}

/** The only way to change the records; what `change` throws leaves them as they were. No await inside. */
export function changePools<T>(host: Host, change: (state: PoolState) => T): T {
  return withSimLock(host.simPath('pool.lock'), () => {
    const state = readPools(host);
    const result = change(state);
    writeFileAtomicSync(host.simPath('pool.json'), JSON.stringify(state, undefined, 1));
    return result;
  });
}

export interface PoolSpec {
  readonly name: string;
  readonly sizeBytes: number;
  /** Default: one disk. */
  readonly vdevs?: readonly Vdev[];
}

/** Makes a pool with its root dataset; the properties are those `zpool create -O` would set. */
export function createPool(
  host: Host,
  spec: PoolSpec,
  properties: Readonly<Record<string, string>> = { compression: 'lz4' },
): void {
  changePools(host, (state) => {
    if (state.pools.some((pool) => pool.name === spec.name)) throw new Error(`pool ${spec.name} exists`);
    const vdevs = spec.vdevs ?? [{ name: `ata-STANDIN_${spec.name}-part3`, state: 'ONLINE' }];
    state.pools.push({
      name: spec.name,
      sizeBytes: spec.sizeBytes,
      guid: guidOf(host, `pool ${spec.name}`),
      vdevs,
      health: 'ONLINE',
      errorCount: 0,
    });
    state.datasets.push(
      newDataset(host, state, { name: spec.name, type: 'filesystem', properties: { ...properties } }),
    );
    mkdirSync(host.path(`/${spec.name}`), { recursive: true });
  });
}

export function newDataset(
  host: Host,
  state: PoolState,
  spec: { name: string; type: DatasetRecord['type']; properties: Record<string, string>; origin?: string },
): DatasetRecord {
  state.txg += 1;
  return {
    name: spec.name,
    type: spec.type,
    guid: guidOf(host, `${spec.name} ${state.txg}`),
    createtxg: state.txg,
    creation: Math.floor(Date.now() / 1000),
    ...(spec.origin === undefined ? {} : { origin: spec.origin }),
    properties: spec.properties,
    isMounted: spec.type === 'filesystem',
    snapshots: [],
  };
}

/** 64 bits as decimal text, which follow from the host's seed. */
export function guidOf(host: Host, what: string): string {
  return createHash('sha256').update(`${host.identity.seed}\0${what}`).digest().readBigUInt64BE().toString();
}

export function findDataset(state: PoolState, name: string): DatasetRecord | undefined {
  return state.datasets.find((dataset) => dataset.name === name);
}

export function findSnapshot(
  state: PoolState,
  fullName: string,
): { dataset: DatasetRecord; snapshot: SnapshotRecord } | undefined {
  const [name = '', tag] = fullName.split('@');
  const dataset = findDataset(state, name);
  const snapshot = dataset?.snapshots.find((entry) => entry.name === tag);
  return dataset === undefined || snapshot === undefined ? undefined : { dataset, snapshot };
}

export function poolOf(name: string): string {
  return /^[^/@#]*/.exec(name)?.[0] ?? '';
}

export function parentOf(name: string): string | undefined {
  return name.includes('/') ? dirname(name) : undefined;
}

/** The dataset and everything below it, in the order ZFS lists them. */
export function subtree(state: PoolState, name: string): DatasetRecord[] {
  return sorted(state.datasets.filter((dataset) => dataset.name === name || dataset.name.startsWith(`${name}/`)));
}

export function sorted(datasets: readonly DatasetRecord[]): DatasetRecord[] {
  const key = (dataset: DatasetRecord): string => dataset.name.replaceAll('/', '\0');
  return [...datasets].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Names of datasets cloned from the snapshot. */
export function clonesOf(state: PoolState, snapshot: string): string[] {
  return state.datasets.filter((dataset) => dataset.origin === snapshot).map((dataset) => dataset.name);
}

/** An in-host path, `none`, `legacy`, or undefined for a volume. */
export function mountpointOf(state: PoolState, dataset: DatasetRecord): string | undefined {
  if (dataset.type === 'volume') return undefined;
  const own = dataset.properties['mountpoint'];
  if (own !== undefined) return own;
  const parentName = parentOf(dataset.name);
  const parent = parentName === undefined ? undefined : findDataset(state, parentName);
  if (parent === undefined) return `/${dataset.name}`;
  const above = mountpointOf(state, parent) ?? 'none';
  return above.startsWith('/') ? join(above, dataset.name.slice(parent.name.length + 1)) : above;
}

/** Where the files of a mounted file system really lie; undefined when it has no directory. */
export function directoryOf(host: Host, state: PoolState, dataset: DatasetRecord): string | undefined {
  const mountpoint = mountpointOf(state, dataset);
  return mountpoint?.startsWith('/') === true ? host.path(mountpoint) : undefined;
}

/** Where the files of a snapshot are kept. */
export function snapshotDirectory(host: Host, snapshot: Pick<SnapshotRecord, 'guid'>): string {
  return host.simPath('snapshots', snapshot.guid);
}
