/**
 * pool/: the ZFS of a stand-in host. Pools and datasets are records in `<root>/.sim/pool.json`; each file system is a
 * real directory below the host's root, so files written there are really there, and a snapshot is a real copy.
 * Texts and statuses follow openzfs/zfs 2.3 (cmd/zfs, lib/libzfs). This file keeps the records; verbs.ts changes them.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readJson, writeFileAtomicSync } from '../file/sim-file.ts';
import { withSimLock } from '../file/sim-lock.ts';
import type { Host } from '../host/host.ts';
import { swapFiles } from './files.ts';

export interface Vdev {
  readonly name: string;
  readonly state: string;
  readonly children?: readonly Vdev[];
  readonly checksumErrors?: number;
}

/** The last scrub or resilver, as `zpool status` tells of it. */
export interface Scan {
  readonly function: 'SCRUB' | 'RESILVER';
  readonly startTime: number;
  readonly endTime: number;
  readonly examinedBytes: number;
  readonly repairedBytes: number;
  readonly errors: number;
  readonly isCanceled?: true;
  /** The one that was written to, if it was for one. */
  readonly device?: string;
}

export interface PoolRecord {
  readonly name: string;
  sizeBytes: number;
  guid: string;
  vdevs: readonly Vdev[];
  health: string;
  /** Data errors that only `zpool status` knows of. */
  errorCount: number;
  scan?: Scan;
  /** Settable pool properties, as given. */
  properties?: Record<string, string>;
  checkpointBytes?: number;
  /** Time and command line of every change, for `zpool history`. */
  history?: { time: number; text: string }[];
}

export interface DatasetRecord {
  name: string;
  readonly type: 'filesystem' | 'volume';
  readonly guid: string;
  readonly createtxg: number;
  /** UNIX seconds. */
  readonly creation: number;
  /** Snapshot it was cloned from. */
  origin?: string;
  /** Set properties in canonical form: sizes as byte numbers. */
  properties: Record<string, string>;
  /** Properties that a received stream brought along; a local value wins. */
  received?: Record<string, string>;
  /** In-host path where its files are to be seen now; none: not mounted. */
  mountedAt?: string;
  /** Grows with every mount: `zfs mount` lists them in the order they were made. */
  mountSerial?: number;
  /** Its files were taken aside when it was unmounted. */
  isAside?: true;
  /** Name below `.sim/arriving` of its files from now on, which take the place of those that are there. */
  replacedBy?: string;
  snapshots: SnapshotRecord[];
  bookmarks: BookmarkRecord[];
  /** Of the root of an encryption tree. */
  key?: { readonly passphrase: string; isLoaded: boolean };
  /** A receive that was cut, kept with `recv -s`. */
  partial?: PartialReceive;
}

export interface PartialReceive {
  readonly token: string;
  readonly snapshot: string;
  readonly toGuid: string;
  readonly bytes: number;
}

/** The point in time of a snapshot, without its files. */
export interface BookmarkRecord {
  readonly name: string;
  readonly guid: string;
  readonly createtxg: number;
  readonly creation: number;
  readonly referencedBytes: number;
}

export interface SnapshotRecord {
  readonly name: string;
  readonly guid: string;
  readonly createtxg: number;
  readonly creation: number;
  readonly referencedBytes: number;
  /** Where its files are kept, when another snapshot has the same guid because it was received from it. */
  readonly store?: string;
  properties: Record<string, string>;
  holds: Hold[];
  /** Goes with its last hold or clone (`destroy -d`). */
  isDeferred?: boolean;
}

export interface Hold {
  readonly tag: string;
  /** UNIX seconds. */
  readonly time: number;
}

/** What a user other than root may do on a dataset and below (`zfs allow`). */
export interface Grant {
  readonly dataset: string;
  readonly uid: number;
  readonly permissions: readonly string[];
}

export interface PoolState {
  txg: number;
  mountSerial?: number;
  pools: PoolRecord[];
  datasets: DatasetRecord[];
  grants?: Grant[];
  /** Exported and destroyed pools with their datasets: on disk, but not there. */
  away?: { readonly pool: PoolRecord; readonly datasets: readonly DatasetRecord[]; readonly isDestroyed: boolean }[];
}

export function readPools(host: Host): PoolState {
  const state = load(host);
  if (!state.datasets.some(({ replacedBy }) => replacedBy !== undefined)) return state;
  // Whoever is at it has the lock; who died at it has left it to us.
  changePools(host, () => undefined);
  return load(host);
}

function load(host: Host): PoolState {
  const state = readJson<PoolState>(host.simPath('pool.json')) ?? { txg: 1, pools: [], datasets: [] };
  for (const dataset of state.datasets) noticeMove(host, state, dataset);
  return state;
}

/** A mount is one step of the kernel; here the files move first and the record says so later, and a kill may come between. */
function noticeMove(host: Host, state: PoolState, dataset: DatasetRecord): void {
  if (dataset.mountedAt === undefined && dataset.isAside !== true) return;
  const isAside = existsSync(host.simPath('unmounted', dataset.guid));
  if (isAside && dataset.mountedAt !== undefined) {
    delete dataset.mountedAt;
    dataset.isAside = true;
  } else if (!isAside && dataset.isAside === true) {
    dataset.mountedAt = mountpointOf(state, dataset) ?? '';
    delete dataset.isAside;
  }
}

/** The only way to change the records; what `change` throws leaves them as they were. No await inside. */
export function changePools<T>(host: Host, change: (state: PoolState) => T): T {
  return withSimLock(host.simPath('pool.lock'), () => {
    const state = load(host);
    replaceFiles(host, state);
    const result = change(state);
    writePools(host, state);
    replaceFiles(host, state);
    return result;
  });
}

/** All files of a dataset change in one step, that of the record before this. */
function replaceFiles(host: Host, state: PoolState): void {
  const replaced = state.datasets.filter(({ replacedBy }) => replacedBy !== undefined);
  for (const dataset of replaced) {
    const directory = directoryOf(host, dataset);
    const [fresh, old] = [arrivingDirectory(host, dataset.replacedBy ?? ''), host.simPath('replaced', dataset.guid)];
    if (directory !== undefined) swapFiles({ directory, fresh, old, kept: mountDirectories(host, state) });
    delete dataset.replacedBy;
  }
  if (replaced.length > 0) writePools(host, state);
}

/** For a change that must be known before its last step, while `changePools` holds the lock. */
export function writePools(host: Host, state: PoolState): void {
  writeFileAtomicSync(host.simPath('pool.json'), JSON.stringify(state, undefined, 1));
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
    snapshots: [],
    bookmarks: [],
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

/** `dataset@snapshot` names of one dataset, oldest first. */
export function snapshotNames(dataset: DatasetRecord): string[] {
  return dataset.snapshots.map((snapshot) => `${dataset.name}@${snapshot.name}`);
}

/** An in-host path, `none`, `legacy`, or undefined for a volume. */
export function mountpointOf(state: PoolState, dataset: DatasetRecord): string | undefined {
  if (dataset.type === 'volume') return undefined;
  const own = dataset.properties['mountpoint'] ?? dataset.received?.['mountpoint'];
  if (own !== undefined) return own;
  const parentName = parentOf(dataset.name);
  const parent = parentName === undefined ? undefined : findDataset(state, parentName);
  if (parent === undefined) return `/${dataset.name}`;
  const above = mountpointOf(state, parent) ?? 'none';
  return above.startsWith('/') ? join(above, dataset.name.slice(parent.name.length + 1)) : above;
}

/** Where the files of a file system really lie: at its mountpoint, or aside while it is not mounted. */
export function directoryOf(host: Host, dataset: DatasetRecord): string | undefined {
  if (dataset.type === 'volume') return undefined;
  return dataset.mountedAt === undefined ? host.simPath('unmounted', dataset.guid) : host.path(dataset.mountedAt);
}

/** Where file systems are mounted: they may lie inside another one's directory. */
export function mountDirectories(host: Host, state: PoolState): Set<string> {
  return new Set(state.datasets.flatMap(({ mountedAt }) => (mountedAt === undefined ? [] : host.path(mountedAt))));
}

/** Files on their way to a dataset: not its files before the record says so. */
export function arrivingDirectory(host: Host, name: string): string {
  return host.simPath('arriving', name);
}

/** Where the files of a snapshot are kept. */
export function snapshotDirectory(host: Host, snapshot: Pick<SnapshotRecord, 'guid' | 'store'>): string {
  return host.simPath('snapshots', snapshot.store ?? snapshot.guid);
}
