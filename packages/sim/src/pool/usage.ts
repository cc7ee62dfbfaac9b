/**
 * Numbers of a pool: what datasets hold, and how much is left for each. Counted from the real directories, so they
 * follow what guests write. A clone owns only what it holds beyond its origin; snapshots are reported as costing nothing.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host.ts';
import {
  type DatasetRecord,
  directoryOf,
  findDataset,
  findSnapshot,
  type PoolState,
  parentOf,
  poolOf,
  sorted,
} from './state.ts';

/** A file system without files. */
const EMPTY_BYTES = 24_576;
const EMPTY_VOLUME_BYTES = 12_288;
const BLOCK_BYTES = 512;

export interface Usage {
  readonly used: number;
  readonly available: number;
  readonly referenced: number;
  readonly byDataset: number;
  readonly byChildren: number;
}

/** Usage of every dataset, counted once. */
export function usageOf(host: Host, state: PoolState): Map<string, Usage> {
  const referenced = new Map(state.datasets.map((dataset) => [dataset.name, referencedBytes(host, state, dataset)]));
  const own = new Map(
    state.datasets.map((dataset) => [dataset.name, ownBytes(state, dataset, referenced.get(dataset.name) ?? 0)]),
  );
  const totals = new Map<string, number>();
  for (const dataset of sorted(state.datasets).reverse()) {
    const total = (totals.get(dataset.name) ?? 0) + (own.get(dataset.name) ?? 0);
    totals.set(dataset.name, total);
    const parent = parentOf(dataset.name);
    if (parent !== undefined) totals.set(parent, (totals.get(parent) ?? 0) + total);
  }
  const usage = new Map<string, Usage>();
  for (const dataset of state.datasets) {
    const used = totals.get(dataset.name) ?? 0;
    const held = referenced.get(dataset.name) ?? 0;
    usage.set(dataset.name, {
      used,
      referenced: held,
      available: availableBytes(state, dataset, { totals, held }),
      byDataset: own.get(dataset.name) ?? 0,
      byChildren: used - (own.get(dataset.name) ?? 0),
    });
  }
  return usage;
}

/** Also for a snapshot about to be taken. */
export function referencedBytes(host: Host, state: PoolState, dataset: DatasetRecord): number {
  if (dataset.type === 'volume') return EMPTY_VOLUME_BYTES;
  const directory = directoryOf(host, state, dataset);
  return EMPTY_BYTES + (directory === undefined ? 0 : treeBytes(directory, otherDirectories(host, state, dataset)));
}

/** Real directories of all other file systems: they may lie inside this one's. */
export function otherDirectories(host: Host, state: PoolState, dataset: DatasetRecord): Set<string> {
  return new Set(
    state.datasets.filter((other) => other !== dataset).flatMap((other) => directoryOf(host, state, other) ?? []),
  );
}

function ownBytes(state: PoolState, dataset: DatasetRecord, held: number): number {
  if (dataset.origin === undefined) return held;
  return Math.max(0, held - (findSnapshot(state, dataset.origin)?.snapshot.referencedBytes ?? 0));
}

function availableBytes(
  state: PoolState,
  dataset: DatasetRecord,
  at: { totals: ReadonlyMap<string, number>; held: number },
): number {
  const pool = state.pools.find((entry) => entry.name === poolOf(dataset.name));
  let left = (pool?.sizeBytes ?? 0) - (at.totals.get(poolOf(dataset.name)) ?? 0);
  for (let name: string | undefined = dataset.name; name !== undefined; name = parentOf(name)) {
    const quota = Number(findDataset(state, name)?.properties['quota'] ?? '0');
    if (quota > 0) left = Math.min(left, quota - (at.totals.get(name) ?? 0));
  }
  const refquota = Number(dataset.properties['refquota'] ?? '0');
  if (refquota > 0) left = Math.min(left, refquota - at.held);
  return Math.max(0, left);
}

function treeBytes(directory: string, without: ReadonlySet<string>): number {
  let bytes = 0;
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    if (without.has(path)) continue;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    bytes += stat.isDirectory() ? treeBytes(path, without) : stat.blocks * BLOCK_BYTES;
  }
  return bytes;
}

/** Empty for what is gone meanwhile or closed to this user. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
