/**
 * Numbers of a pool: what datasets hold, and how much is left for each. Counted from the real directories, so they
 * follow what guests write. A clone owns only what it holds beyond its origin; snapshots are reported as costing nothing.
 */
import type { Host } from '../host/host.ts';
import { heldBySnapshots } from './snapshot-space.ts';
import {
  type DatasetRecord,
  directoryOf,
  findDataset,
  findSnapshot,
  mountDirectories,
  type PoolState,
  parentOf,
  sorted,
} from './state.ts';
import { treeBytes } from './trees.ts';

/** A file system without files. */
const EMPTY_BYTES = 24_576;
const EMPTY_VOLUME_BYTES = 12_288;

/** The root of an encrypted file system holds its wrapped keys. */
const KEY_BYTES = 75_776;

export interface Usage {
  readonly used: number;
  readonly available: number;
  readonly referenced: number;
  readonly byDataset: number;
  readonly byChildren: number;
  readonly bySnapshots: number;
  readonly byReservation: number;
}

interface Parts {
  readonly referenced: number;
  readonly byDataset: number;
  readonly bySnapshots: number;
  readonly byReservation: number;
}

/** Usage of every dataset, counted once. */
export function usageOf(host: Host, state: PoolState): Map<string, Usage> {
  const mounts = mountDirectories(host, state);
  const parts = new Map(state.datasets.map((dataset) => [dataset.name, partsOf(host, state, { dataset, mounts })]));
  const children = new Map<string, number>();
  const used = new Map<string, number>();
  for (const dataset of sorted(state.datasets).reverse()) {
    const own = parts.get(dataset.name) as Parts;
    const total = own.byDataset + own.bySnapshots + own.byReservation + (children.get(dataset.name) ?? 0);
    used.set(dataset.name, total);
    const parent = parentOf(dataset.name);
    const claimed = Math.max(total, Number(dataset.properties['reservation'] ?? '0'));
    if (parent !== undefined) children.set(parent, (children.get(parent) ?? 0) + claimed);
  }
  return new Map(
    state.datasets.map((dataset) => {
      const own = parts.get(dataset.name) as Parts;
      const available = availableBytes(state, dataset, { used, own });
      const byChildren = children.get(dataset.name) ?? 0;
      return [dataset.name, { ...own, byChildren, used: used.get(dataset.name) ?? 0, available }];
    }),
  );
}

function partsOf(
  host: Host,
  state: PoolState,
  { dataset, mounts }: { dataset: DatasetRecord; mounts: ReadonlySet<string> },
): Parts {
  const referenced = referencedBytes(host, dataset, mounts);
  const unique = Math.max(0, referenced - (dataset.snapshots.at(-1)?.referencedBytes ?? 0));
  const reserved = Number(dataset.properties['refreservation'] ?? '0');
  return {
    referenced,
    byDataset: ownBytes(state, dataset, referenced),
    bySnapshots: heldBySnapshots(host, dataset, mounts),
    byReservation: Math.max(0, reserved - (dataset.snapshots.length === 0 ? referenced : unique)),
  };
}

/** Also for a snapshot about to be taken. */
export function referencedBytes(host: Host, dataset: DatasetRecord, mounts: ReadonlySet<string>): number {
  if (dataset.type === 'volume') return EMPTY_VOLUME_BYTES;
  const directory = directoryOf(host, dataset);
  const empty = EMPTY_BYTES + (dataset.key === undefined ? 0 : KEY_BYTES);
  return empty + (directory === undefined ? 0 : treeBytes(directory, mounts));
}

function ownBytes(state: PoolState, dataset: DatasetRecord, held: number): number {
  if (dataset.origin === undefined) return held;
  return Math.max(0, held - (findSnapshot(state, dataset.origin)?.snapshot.referencedBytes ?? 0));
}

const MIB = 1024 ** 2;

/** What a pool can hold: a part is kept back for itself (spa_get_slop_space). */
export function usableBytes(sizeBytes: number): number {
  return sizeBytes - Math.max(sizeBytes / 32, Math.min(sizeBytes / 2, 128 * MIB));
}

/** The room of the pool and of every quota above, with what this dataset has reserved and not used yet. */
function availableBytes(
  state: PoolState,
  dataset: DatasetRecord,
  at: { used: ReadonlyMap<string, number>; own: Parts },
): number {
  let left = roomBelow(state, dataset.name, at.used) + at.own.byReservation;
  const refquota = Number(dataset.properties['refquota'] ?? '0');
  if (refquota > 0) left = Math.min(left, refquota - at.own.referenced);
  return Math.max(0, left);
}

function roomBelow(state: PoolState, name: string, used: ReadonlyMap<string, number>): number {
  const parent = parentOf(name);
  const taken = used.get(name) ?? 0;
  const properties = findDataset(state, name)?.properties ?? {};
  const pool = state.pools.find((entry) => entry.name === name);
  const above = parent === undefined ? usableBytes(pool?.sizeBytes ?? 0) - taken : roomBelow(state, parent, used);
  const reserved = Math.max(0, Number(properties['reservation'] ?? '0') - taken);
  const quota = Number(properties['quota'] ?? '0');
  const left = Math.max(0, above) + (parent === undefined ? 0 : reserved);
  return quota > 0 ? Math.min(left, quota - taken) : left;
}
