/** Making and destroying datasets, with the refusals of openzfs/zfs; snapshot-verbs.ts and rename.ts have the rest. */
import { mkdirSync, rmSync } from 'node:fs';
import type { Host } from '../host.ts';
import { ToolError } from '../tool.ts';
import { isBusy } from './files.ts';
import { nameProblem } from './names.ts';
import { storedValue } from './properties.ts';
import {
  changePools,
  clonesOf,
  type DatasetRecord,
  directoryOf,
  findDataset,
  findSnapshot,
  newDataset,
  type PoolState,
  parentOf,
  poolOf,
  readPools,
  snapshotDirectory,
  sorted,
  subtree,
} from './state.ts';
import { usageOf } from './usage.ts';

export type Pairs = readonly (readonly [name: string, value: string])[];

export interface CreateOptions {
  readonly properties: Pairs;
  readonly parents?: boolean;
  /** Makes a volume of that size. */
  readonly volumeBytes?: number;
  readonly unmounted?: boolean;
}

export interface FromTo {
  readonly from: string;
  readonly to: string;
}

export function refuse(text: string, status = 1): never {
  throw new ToolError(`${text}\n`, status);
}

/** Given properties in their stored form. */
export function stored(properties: Pairs, failed: (reason: string) => never): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of properties) {
    if (result[name] !== undefined) refuse(`property '${name}' specified multiple times`);
    try {
      result[name] = storedValue(name, value);
    } catch (err) {
      failed((err as Error).message);
    }
  }
  return result;
}

export function createDataset(host: Host, name: string, options: CreateOptions): void {
  const failed = (reason: string): never => refuse(`cannot create '${name}': ${reason}`);
  const problem = nameProblem(name, 'dataset') ?? (name.includes('/') ? undefined : 'missing dataset name');
  if (problem !== undefined) failed(problem);
  const properties = stored(options.properties, failed);
  if (options.volumeBytes === 0) failed('volume size cannot be zero');
  changePools(host, (state) => {
    if (!state.pools.some((pool) => pool.name === poolOf(name))) failed(`no such pool '${poolOf(name)}'`);
    if (findDataset(state, name) !== undefined) {
      if (options.parents === true) return;
      failed('dataset already exists');
    }
    requireParent(host, state, { name, failed, make: options.parents === true });
    if ((usageOf(host, state).get(parentOf(name) ?? '')?.available ?? 0) < Number(properties['reservation'] ?? '24576'))
      failed('out of space');
    if (options.volumeBytes !== undefined) properties['volsize'] = String(options.volumeBytes);
    add(host, state, { name, type: options.volumeBytes === undefined ? 'filesystem' : 'volume', properties });
  });
}

/** The parent must be there; `make` makes it, and its parents. */
export function requireParent(
  host: Host,
  state: PoolState,
  at: { name: string; failed: (reason: string) => never; make: boolean },
): void {
  const parent = parentOf(at.name);
  if (parent === undefined || findDataset(state, parent) !== undefined) return;
  if (!at.make) at.failed('parent does not exist');
  requireParent(host, state, { ...at, name: parent });
  add(host, state, { name: parent, type: 'filesystem', properties: {} });
}

/** A new record with its directory. */
export function add(
  host: Host,
  state: PoolState,
  spec: { name: string; type: DatasetRecord['type']; properties: Record<string, string>; origin?: string },
): DatasetRecord {
  const dataset = newDataset(host, state, spec);
  state.datasets.push(dataset);
  const directory = directoryOf(host, state, dataset);
  if (directory === undefined || dataset.properties['canmount'] === 'off') dataset.isMounted = false;
  else mkdirSync(directory, { recursive: true, mode: 0o755 });
  return dataset;
}

export interface DestroyOptions {
  readonly recursive: boolean;
  /** -R: clones too. */
  readonly withClones?: boolean;
}

/** What a destroy of that dataset would remove, in ZFS's order: children, snapshots, itself. Holds are not looked at. */
export function destroyPlan(state: PoolState, name: string, options: DestroyOptions): string[] {
  if (name.includes('#')) refuse(`bookmark '${name}' does not exist.`);
  if (findDataset(state, name) === undefined) refuse(`cannot open '${name}': dataset does not exist`);
  const all = subtree(state, name);
  const below = [
    ...all.slice(1).map((dataset) => dataset.name),
    ...all.flatMap((dataset) => dataset.snapshots.map((snapshot) => `${dataset.name}@${snapshot.name}`)),
  ];
  const isWholePool = parentOf(name) === undefined;
  if (isWholePool)
    refuse(
      `cannot destroy '${name}': operation does not apply to pools\nuse 'zfs destroy -r ${name}' to destroy all datasets in the pool\nuse 'zpool destroy ${name}' to destroy the pool itself`,
    );
  if (below.length > 0 && !options.recursive)
    refuse(
      `cannot destroy '${name}': filesystem has children\nuse '-r' to destroy the following datasets:\n${below.join('\n')}`,
    );
  const clones = below
    .filter((entry) => entry.includes('@'))
    .flatMap((entry) => clonesOf(state, entry))
    .filter((clone) => !all.some((dataset) => dataset.name === clone));
  if (clones.length > 0 && options.withClones !== true)
    refuse(
      `cannot destroy '${name}': filesystem has dependent clones\nuse '-R' to destroy the following datasets:\n${clones.join('\n')}`,
    );
  return [...clones, ...childrenFirst(state, name)];
}

function childrenFirst(state: PoolState, name: string): string[] {
  const children = sorted(state.datasets.filter((dataset) => parentOf(dataset.name) === name));
  const own = findDataset(state, name);
  return [
    ...children.flatMap((child) => childrenFirst(state, child.name)),
    ...(own === undefined ? [] : snapshotNames(own)),
    name,
  ];
}

function snapshotNames(dataset: DatasetRecord): string[] {
  return dataset.snapshots.map((snapshot) => `${dataset.name}@${snapshot.name}`);
}

export function destroyDataset(host: Host, name: string, options: DestroyOptions): void {
  const plan = destroyPlan(readPools(host), name, options);
  const state = readPools(host);
  for (const entry of plan.filter((item) => !item.includes('@'))) {
    const directory = directoryOf(host, state, findDataset(state, entry) as DatasetRecord);
    if (directory !== undefined && isBusy(directory))
      refuse(`cannot unmount '${host.inHost(directory)}': pool or dataset is busy`);
  }
  const held = plan.filter((entry) => (findSnapshot(state, entry)?.snapshot.holds.length ?? 0) > 0);
  if (held.length > 0) refuse(held.map(heldText).join('\n'));
  const directories = plan.flatMap((entry) => {
    const dataset = findDataset(state, entry);
    return dataset === undefined ? (findSnapshot(state, entry) ?? []) : (directoryOf(host, state, dataset) ?? []);
  });
  changePools(host, (now) => {
    now.datasets = now.datasets.filter((dataset) => !plan.includes(dataset.name));
    for (const dataset of now.datasets)
      dataset.snapshots = dataset.snapshots.filter((snapshot) => !plan.includes(`${dataset.name}@${snapshot.name}`));
    now.txg += 1;
  });
  for (const item of directories)
    rmSync(typeof item === 'string' ? item : snapshotDirectory(host, item.snapshot), { recursive: true, force: true });
}

function heldText(name: string): string {
  return `cannot destroy snapshot ${name}: it's being held. Run 'zfs holds -r ${name}' to see holders.`;
}

/** Full names of the snapshots a `dataset@a,b` argument means; only those that exist. */
export function matchingSnapshots(state: PoolState, argument: string): string[] {
  const [name = '', list = ''] = argument.split('@');
  const dataset = findDataset(state, name) ?? refuse(`cannot open '${name}': dataset does not exist`);
  const found = list
    .split(',')
    .flatMap((part) => tagsOf(dataset, part))
    .map((tag) => `${name}@${tag}`);
  return found.length > 0 ? found : refuse('could not find any snapshots to destroy; check snapshot names.');
}

/** `tag`, or `first%last` with either end left out. */
function tagsOf(dataset: DatasetRecord, part: string): string[] {
  const tags = dataset.snapshots.map((snapshot) => snapshot.name);
  if (!part.includes('%')) return tags.filter((tag) => tag === part);
  const [first = '', last = ''] = part.split('%');
  const from = first === '' ? 0 : tags.indexOf(first);
  const to = last === '' ? tags.length - 1 : tags.indexOf(last);
  return from < 0 || to < 0 ? [] : tags.slice(from, to + 1);
}

export function destroySnapshots(host: Host, argument: string, options: { defer?: boolean } = {}): void {
  const names = matchingSnapshots(readPools(host), argument);
  const removed = changePools(host, (state) =>
    names.flatMap((name) => {
      const found = findSnapshot(state, name);
      if (found === undefined) return [];
      const clones = clonesOf(state, name);
      if (options.defer === true && (clones.length > 0 || found.snapshot.holds.length > 0)) return [];
      if (found.snapshot.holds.length > 0) refuse(heldText(name));
      if (clones.length > 0)
        refuse(
          `cannot destroy '${name}': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n${clones.join('\n')}`,
        );
      found.dataset.snapshots = found.dataset.snapshots.filter((snapshot) => snapshot !== found.snapshot);
      return [found.snapshot];
    }),
  );
  for (const snapshot of removed) rmSync(snapshotDirectory(host, snapshot), { recursive: true, force: true });
}
