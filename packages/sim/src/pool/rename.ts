/** Renaming datasets, snapshots and bookmarks; the files move with the name. */
import { rmdirSync } from 'node:fs';
import type { Host } from '../host.ts';
import { remounting } from './mounting.ts';
import { nameProblem } from './names.ts';
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
import { requireParent } from './verbs.ts';

export interface RenameOptions {
  readonly parents: boolean;
  /** -u: what is mounted stays where it is. */
  readonly unmounted: boolean;
  readonly recursive?: boolean;
}

export function renameDataset(host: Host, names: FromTo, options: RenameOptions): void {
  const { from, to } = names;
  if (from.includes('@')) {
    renameSnapshot(host, names, options.recursive === true);
    return;
  }
  const failed = (reason: string): never => refuse(`cannot rename to '${to}': ${reason}`);
  changePools(host, (state) => {
    if (findDataset(state, from) === undefined) refuse(`cannot open '${from}': dataset does not exist`);
    const problem = renameProblem(names);
    if (problem !== undefined) failed(problem);
    if (findDataset(state, to) !== undefined) failed('dataset already exists');
    requireParent(host, state, { name: to, failed, make: options.parents });
    const work = (): void => {
      state.datasets = state.datasets.map((entry) => Object.assign(entry, renamed(entry, from, to)));
    };
    if (options.unmounted) work();
    else remounting(host, state, { name: from, work });
    removeDirectories(host, state, names);
  });
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

function renameProblem({ from, to }: FromTo): string | undefined {
  if (nameProblem(to, 'dataset') !== undefined) return nameProblem(to, 'dataset');
  if (poolOf(from) !== poolOf(to)) return 'datasets must be within same pool';
  return to.startsWith(`${from}/`) ? 'New dataset name cannot be a descendant of current dataset name' : undefined;
}

function renamed(entry: DatasetRecord, from: string, to: string): Partial<DatasetRecord> {
  const move = (name: string): string =>
    name === from || name.startsWith(`${from}/`) || name.startsWith(`${from}@`)
      ? `${to}${name.slice(from.length)}`
      : name;
  return { name: move(entry.name), ...(entry.origin === undefined ? {} : { origin: move(entry.origin) }) };
}

/** The target is `dataset@tag`, `@tag` or the tag alone. */
function renameSnapshot(host: Host, { from, to }: FromTo, recursive: boolean): void {
  const [of = ''] = from.split('@');
  const [target = '', tag = ''] = to.includes('@') ? to.split('@') : [of, to];
  changePools(host, (state) => {
    const found = findSnapshot(state, from);
    if (found === undefined) refuse(`cannot open '${from}': dataset does not exist`);
    const failed = (name: string, reason: string): never => refuse(`cannot rename to '${name}': ${reason}`);
    if (target !== '' && target !== of) failed(to, 'snapshots must be part of same dataset');
    const problem = nameProblem(`${of}@${tag}`, 'snapshot');
    if (problem !== undefined) failed(`${of}@${tag}`, problem);
    const targets = sameSnapshots(state, { name: from, recursive });
    for (const { name } of targets) {
      const full = `${name.split('@')[0] ?? ''}@${tag}`;
      if (findSnapshot(state, full) !== undefined) failed(full, 'dataset already exists');
    }
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
