/** Destroying datasets, snapshots and bookmarks, with the refusals of openzfs/zfs. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { destroyIfDeferred } from './deferred.ts';
import { detach, mountedBelow, requireIdle } from './mounting.ts';
import { openText } from './names.ts';
import { refuse } from './refuse.ts';
import { sending } from './send.ts';
import {
  changePools,
  clonesOf,
  type DatasetRecord,
  findDataset,
  findSnapshot,
  mountpointOf,
  type PoolState,
  parentOf,
  readPools,
  snapshotDirectory,
  snapshotNames,
  sorted,
  subtree,
} from './state.ts';

export interface DestroyOptions {
  readonly recursive: boolean;
  /** -R: clones too. */
  readonly withClones?: boolean;
  /** False for anybody but root. */
  readonly mayUnmount?: boolean;
  /** Throws what the caller may not do to the dataset or snapshot. */
  readonly permit?: (name: string) => void;
}

/** What a destroy of that dataset would remove, in ZFS's order: children, snapshots, itself. Holds are not looked at. */
export function destroyPlan(state: PoolState, name: string, options: DestroyOptions): string[] {
  const target = findDataset(state, name) ?? refuse(openText(name, 'dataset'));
  const isWholePool = parentOf(name) === undefined;
  if (isWholePool && !options.recursive)
    refuse(
      `cannot destroy '${name}': operation does not apply to pools\nuse 'zfs destroy -r ${name}' to destroy all datasets in the pool\nuse 'zpool destroy ${name}' to destroy the pool itself`,
    );
  const below = dependents(state, name).slice(0, -1);
  const isOwn = (entry: string): boolean => entry.startsWith(`${name}/`) || entry.startsWith(`${name}@`);
  const [own, clones] = [below.filter(isOwn), below.filter((entry) => !isOwn(entry))];
  const failed = (what: string, letter: string, names: readonly string[]): never =>
    refuse(
      `cannot destroy '${name}': ${target.type} has ${what}\nuse '-${letter}' to destroy the following datasets:\n${names.join('\n')}`,
    );
  if (own.length > 0 && !options.recursive) failed('children', 'r', own);
  if (clones.length > 0 && options.withClones !== true) failed('dependent clones', 'R', clones);
  // The pool's own file system stays.
  return isWholePool ? below : [...below, name];
}

/** A dataset behind everything that hangs on it: children, then snapshots, each behind its clones. */
export function dependents(state: PoolState, name: string): string[] {
  const children = sorted(state.datasets.filter((dataset) => parentOf(dataset.name) === name));
  const own = findDataset(state, name);
  const snapshots = own === undefined ? [] : snapshotNames(own);
  const all = [
    ...children.flatMap((child) => dependents(state, child.name)),
    ...snapshots.flatMap((snapshot) => [...cloneDependents(state, snapshot), snapshot]),
    name,
  ];
  return [...new Set(all)];
}

/** Clones of a snapshot, each behind what hangs on it. */
export function cloneDependents(state: PoolState, snapshot: string): string[] {
  return clonesOf(state, snapshot).flatMap((clone) => dependents(state, clone));
}

/**
 * One after the other, as cmd/zfs/zfs_main.c destroy_callback goes: the snapshots up to the next dataset all or none,
 * then that dataset; with -r a failure is told and the rest goes on.
 */
export function destroyDataset(host: Host, name: string, options: DestroyOptions): void {
  destroyInOrder(host, destroyPlan(readPools(host), name, options), options);
}

function destroyInOrder(host: Host, plan: readonly string[], options: DestroyOptions): void {
  const problems: string[] = [];
  let snapshots: string[] = [];
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (err) {
      if (!(err instanceof ToolError) || !options.recursive) throw err;
      problems.push(err.message);
    }
  };
  const destroyBatch = (): void => {
    const batch = snapshots;
    snapshots = [];
    if (batch.length > 0) removeSnapshots(host, batch, options);
  };
  for (const entry of plan)
    if (entry.includes('@')) snapshots.push(entry);
    else
      attempt(() => {
        destroyBatch();
        destroyOne(host, entry, options);
      });
  attempt(destroyBatch);
  if (problems.length > 0) throw new ToolError(problems.join(''), 1);
}

function destroyOne(host: Host, name: string, options: DestroyOptions): void {
  const files = changePools(host, (state) => {
    const dataset = findDataset(state, name);
    if (dataset === undefined) return undefined;
    requireUnmountable(host, state, { dataset, options });
    requireChildless(state, dataset);
    detach(host, dataset, false);
    removeMountpoint(host, state, dataset);
    state.datasets = state.datasets.filter((other) => other !== dataset);
    state.txg += 1;
    if (dataset.origin !== undefined) destroyIfDeferred(host, state, dataset.origin);
    return host.simPath('unmounted', dataset.guid);
  });
  if (files !== undefined) rmSync(files, { recursive: true, force: true });
}

/** Not by anybody but root, not with another mount inside, not while a process works there. */
function requireUnmountable(
  host: Host,
  state: PoolState,
  at: { dataset: DatasetRecord; options: DestroyOptions },
): void {
  const { name, mountedAt } = at.dataset;
  const failed = (reason: string): never => refuse(`cannot unmount '${mountedAt ?? ''}': ${reason}`);
  if (mountedAt !== undefined && at.options.mayUnmount === false) failed('permission denied');
  if (mountedAt !== undefined && mountedBelow(state, name).length > 1) failed('pool or dataset is busy');
  requireIdle(host, [at.dataset]);
  at.options.permit?.(name);
}

/** What a failure before this one left of its children and snapshots (module/zfs/dsl_destroy.c dsl_destroy_head_check_impl). */
function requireChildless(state: PoolState, dataset: DatasetRecord): void {
  const failed = (reason: string): never => refuse(`cannot destroy '${dataset.name}': ${reason}`);
  if (dataset.snapshots.length > 0) failed('dataset is busy');
  if (subtree(state, dataset.name).length > 1) failed('dataset already exists');
}

/** Also of one that is not mounted; a mountpoint of its own stays (openzfs/zfs lib/libzfs/libzfs_mount.c remove_mountpoint). */
function removeMountpoint(host: Host, state: PoolState, dataset: DatasetRecord): void {
  const isOwn = dataset.properties['mountpoint'] !== undefined;
  if (isOwn || dataset.type === 'volume' || dataset.properties['canmount'] === 'off') return;
  const mountpoint = mountpointOf(state, dataset);
  if (mountpoint === undefined || !mountpoint.startsWith('/')) return;
  const directory = host.path(mountpoint);
  if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}

function heldText(name: string): string {
  return `cannot destroy snapshot ${name}: it's being held. Run 'zfs holds -r ${name}' to see holders.`;
}

/** Full names of the snapshots a `dataset@a,b` argument means, with -r those of the datasets below too; only what exists. */
export function matchingSnapshots(state: PoolState, argument: string, recursive = false): string[] {
  const [name = '', list = ''] = argument.split('@');
  if (findDataset(state, name) === undefined) refuse(openText(name, 'dataset'));
  const datasets = recursive ? subtree(state, name) : subtree(state, name).slice(0, 1);
  const found = datasets.flatMap((dataset) =>
    list
      .split(',')
      .flatMap((part) => tagsOf(dataset, part))
      .map((tag) => `${dataset.name}@${tag}`),
  );
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

export interface SnapshotDestroyOptions extends DestroyOptions {
  readonly defer?: boolean;
}

export function destroySnapshots(
  host: Host,
  argument: string,
  options: SnapshotDestroyOptions = { recursive: false },
): void {
  const names = matchingSnapshots(readPools(host), argument, options.recursive);
  if (options.withClones === true) destroyInOrder(host, clonesToDestroy(readPools(host), names), options);
  removeSnapshots(host, names, options);
}

/** Clones of the snapshots with what hangs on them, in the order in which they go. */
export function clonesToDestroy(state: PoolState, snapshots: readonly string[]): string[] {
  return [...new Set(snapshots.flatMap((name) => cloneDependents(state, name)))];
}

/** All of them or none. */
function removeSnapshots(host: Host, names: readonly string[], options: SnapshotDestroyOptions): void {
  const files = changePools(host, (state) => {
    requireFree(state, names, { mayWait: options.defer === true, busy: sending(host) });
    for (const name of names) options.permit?.(name);
    return names.flatMap((name) => {
      const found = findSnapshot(state, name);
      if (found === undefined) return [];
      if (options.defer === true) found.snapshot.isDeferred = true;
      if (found.snapshot.holds.length > 0 || clonesOf(state, name).length > 0) return [];
      found.dataset.snapshots = found.dataset.snapshots.filter((snapshot) => snapshot !== found.snapshot);
      return [snapshotDirectory(host, found.snapshot)];
    });
  });
  for (const path of files) rmSync(path, { recursive: true, force: true });
}

/** Clones are looked for before holds, as libzfs does before it asks the kernel. */
function requireFree(
  state: PoolState,
  names: readonly string[],
  at: { mayWait: boolean; busy: ReadonlySet<string> },
): void {
  const busy = names.find((name) => at.busy.has(name));
  if (busy !== undefined) refuse(`cannot destroy snapshot ${busy}: dataset is busy`);
  if (at.mayWait) return;
  for (const name of names) {
    const clones = cloneDependents(state, name);
    if (clones.length > 0)
      refuse(
        `cannot destroy '${name}': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n${clones.join('\n')}`,
      );
  }
  const held = names.filter((name) => (findSnapshot(state, name)?.snapshot.holds.length ?? 0) > 0);
  if (held.length > 0) refuse(held.map(heldText).join('\n'));
}

export function destroyBookmark(host: Host, name: string, permit?: () => void): void {
  changePools(host, (state) => {
    const [of = '', mark = ''] = name.split('#');
    const dataset = findDataset(state, of);
    if (dataset?.bookmarks.some((entry) => entry.name === mark) !== true)
      return refuse(`bookmark '${name}' does not exist.`);
    permit?.();
    dataset.bookmarks = dataset.bookmarks.filter((entry) => entry.name !== mark);
  });
}
