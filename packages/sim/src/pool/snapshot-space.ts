/** What only snapshots still hold: files that changed or went since, found by comparing the trees. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host/host.ts';
import {
  type DatasetRecord,
  directoryOf,
  mountDirectories,
  type PoolState,
  type SnapshotRecord,
  snapshotDirectory,
} from './state.ts';

/** Path, size and time of every file, with the bytes it takes. */
type Tree = ReadonlyMap<string, number>;

const BLOCK_BYTES = 512;

export function heldBySnapshots(host: Host, dataset: DatasetRecord, mounts: ReadonlySet<string>): number {
  if (dataset.snapshots.length === 0) return 0;
  const all = new Map<string, number>();
  for (const snapshot of dataset.snapshots)
    for (const [key, bytes] of snapshotTree(host, snapshot)) all.set(key, bytes);
  for (const key of liveTree(host, dataset, mounts).keys()) all.delete(key);
  return sum(all.values());
}

/** What destroying these snapshots of one dataset together would give back. */
export function uniqueBytes(
  host: Host,
  state: PoolState,
  at: { dataset: DatasetRecord; snapshots: readonly SnapshotRecord[] },
): number {
  const mine = new Map<string, number>();
  for (const snapshot of at.snapshots) for (const [key, bytes] of snapshotTree(host, snapshot)) mine.set(key, bytes);
  const others = at.dataset.snapshots.filter((snapshot) => !at.snapshots.includes(snapshot));
  const trees = [
    ...others.map((snapshot) => snapshotTree(host, snapshot)),
    liveTree(host, at.dataset, mountDirectories(host, state)),
  ];
  for (const tree of trees) for (const key of tree.keys()) mine.delete(key);
  return sum(mine.values());
}

/** Have files changed since that snapshot? */
export function isChangedSince(
  host: Host,
  state: PoolState,
  at: { dataset: DatasetRecord; snapshot: SnapshotRecord },
): boolean {
  const live = liveTree(host, at.dataset, mountDirectories(host, state));
  const then = snapshotTree(host, at.snapshot);
  return live.size !== then.size || [...live.keys()].some((key) => !then.has(key));
}

function liveTree(host: Host, dataset: DatasetRecord, mounts: ReadonlySet<string>): Tree {
  const directory = directoryOf(host, dataset);
  return directory === undefined ? new Map() : treeOf(directory, mounts);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** A snapshot never changes, so its tree is read once per process; the oldest are forgotten. */
const seen = new Map<string, Tree>();
const KEPT = 64;

function snapshotTree(host: Host, snapshot: SnapshotRecord): Tree {
  const directory = snapshotDirectory(host, snapshot);
  const tree = seen.get(directory) ?? treeOf(directory);
  seen.delete(directory);
  seen.set(directory, tree);
  const [oldest] = seen.keys();
  if (seen.size > KEPT && oldest !== undefined) seen.delete(oldest);
  return tree;
}

function treeOf(directory: string, without: ReadonlySet<string> = new Set()): Tree {
  const tree = new Map<string, number>();
  const walk = (path: string): void => {
    for (const name of namesIn(path)) {
      const full = join(path, name);
      const stat = without.has(full) ? undefined : lstatSync(full, { throwIfNoEntry: false });
      if (stat?.isDirectory() === true) walk(full);
      else if (stat !== undefined)
        tree.set(`${full.slice(directory.length)} ${stat.size} ${stat.mtimeMs}`, stat.blocks * BLOCK_BYTES);
    }
  };
  walk(directory);
  return tree;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
