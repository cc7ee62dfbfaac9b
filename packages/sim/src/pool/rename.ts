/** Renaming datasets, snapshots and bookmarks; the files move with the name. */
import { rmdirSync } from 'node:fs';
import type { Host } from '../host/host.ts';
import { mountedBelow, remounting } from './mounting.ts';
import { nameProblem, openText } from './names.ts';
import { type FromTo, refuse } from './refuse.ts';
import { sameSnapshots } from './settings.ts';
import {
  changePools,
  type DatasetRecord,
  findDataset,
  findSnapshot,
  mountpointOf,
  type PoolState,
  poolOf,
} from './state.ts';
import { requireParents } from './verbs.ts';

export interface RenameOptions {
  readonly parents: boolean;
  /** -u: what is mounted stays where it is. */
  readonly unmounted: boolean;
  readonly recursive?: boolean;
  /** Asked when all that needs no kernel was looked at: throws what the caller may not do. */
  readonly permit?: () => void;
  /** False for anybody but root. */
  readonly mayUnmount?: boolean;
}

export function renameDataset(host: Host, names: FromTo, options: RenameOptions): void {
  const { from, to } = names;
  if (from.includes('@') && !options.parents && !options.unmounted) {
    renameSnapshot(host, names, options);
    return;
  }
  changePools(host, (state) => {
    const source = findDataset(state, from) ?? refuse(openText(from, 'dataset'));
    if (source.type === 'volume' && options.unmounted)
      refuse(`cannot open '${from}': operation not applicable to datasets of this type`);
    if (from === to) return;
    requireTarget(host, state, { names, options });
    requirePermitted(state, from, options);
    if (findDataset(state, to) !== undefined) refuse(`cannot rename '${from}': dataset already exists`);
    const work = (): void => {
      state.datasets = state.datasets.map((entry) => Object.assign(entry, renamed(entry, from, to)));
    };
    if (options.unmounted) work();
    else remounting(host, state, { name: from, work });
    removeDirectories(host, state, names);
  });
}

/** What is mounted is unmounted before the kernel is asked to rename: the innermost first. */
function requirePermitted(state: PoolState, name: string, options: RenameOptions): void {
  const mountedAt = options.unmounted ? undefined : mountedBelow(state, name).at(-1)?.mountedAt;
  if (mountedAt !== undefined && options.mayUnmount === false)
    refuse(`cannot unmount '${mountedAt}': permission denied`);
  options.permit?.();
}

/** Empty directories of the old names go. */
function removeDirectories(host: Host, state: PoolState, { from, to }: FromTo): void {
  const dataset = findDataset(state, to);
  if (dataset === undefined || dataset.mountedAt !== mountpointOf(state, dataset)) return;
  try {
    rmdirSync(host.path(`/${from}`));
  } catch {
    // not there, or not empty
  }
}

function requireTarget(host: Host, state: PoolState, at: { names: FromTo; options: RenameOptions }): void {
  const { from, to } = at.names;
  const failed = (reason: string): never => refuse(`cannot rename to '${to}': ${reason}`);
  const problem = nameProblem(to, 'dataset');
  if (problem !== undefined) failed(problem);
  requireParents(host, state, { name: to, make: at.options.parents });
  if (poolOf(from) !== poolOf(to) || from === poolOf(from)) failed('datasets must be within same pool');
  if (to.startsWith(`${from}/`)) failed('New dataset name cannot be a descendant of current dataset name');
}

function renamed(entry: DatasetRecord, from: string, to: string): Partial<DatasetRecord> {
  const move = (name: string): string =>
    name === from || name.startsWith(`${from}/`) || name.startsWith(`${from}@`)
      ? `${to}${name.slice(from.length)}`
      : name;
  return { name: move(entry.name), ...(entry.origin === undefined ? {} : { origin: move(entry.origin) }) };
}

/** The target is `dataset@tag`, `@tag` or the tag alone. */
function renameSnapshot(host: Host, { from, to }: FromTo, options: RenameOptions): void {
  const recursive = options.recursive === true;
  const [of = ''] = from.split('@');
  const target = to.startsWith('@') ? `${of}${to}` : to.includes('@') ? to : `${of}@${to}`;
  const tag = target.slice(of.length + 1);
  changePools(host, (state) => {
    if (findSnapshot(state, from) === undefined) refuse(openText(from, 'snapshot'));
    if (from === to) return;
    const failed = (reason: string): never => refuse(`cannot rename to '${to}': ${reason}`);
    if (!target.startsWith(`${of}@`)) failed('snapshots must be part of same dataset');
    const problem = nameProblem(target, 'snapshot');
    if (problem !== undefined) failed(problem);
    options.permit?.();
    const targets = sameSnapshots(state, { name: from, recursive });
    const taken = targets.find(({ name }) => findSnapshot(state, `${name.split('@')[0] ?? ''}@${tag}`) !== undefined);
    if (taken !== undefined)
      refuse(
        `cannot rename '${taken.name}': ${recursive ? 'a child dataset already has a snapshot with the new name' : 'dataset already exists'}`,
      );
    for (const { name } of targets) renameOne(state, name, tag);
  });
}

function renameOne(state: PoolState, from: string, tag: string): void {
  const found = findSnapshot(state, from);
  if (found === undefined) return;
  found.dataset.snapshots = found.dataset.snapshots.map((entry) =>
    entry === found.snapshot ? { ...entry, name: tag } : entry,
  );
  for (const dataset of state.datasets) if (dataset.origin === from) dataset.origin = `${found.dataset.name}@${tag}`;
}
