/** Renaming datasets, snapshots and bookmarks; the files move with the name. */
import { rmdirSync } from 'node:fs';
import type { Host } from '../host/host.ts';
import { remounting } from './mounting.ts';
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
}

export function renameDataset(host: Host, names: FromTo, options: RenameOptions): void {
  const { from, to } = names;
  if (from.includes('@')) {
    renameSnapshot(host, names, options.recursive === true);
    return;
  }
  changePools(host, (state) => {
    if (findDataset(state, from) === undefined) refuse(openText(from, 'dataset'));
    if (from === to) return;
    requireTarget(host, state, { names, options });
    if (findDataset(state, to) !== undefined) refuse(`cannot rename '${from}': dataset already exists`);
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

function requireTarget(host: Host, state: PoolState, at: { names: FromTo; options: RenameOptions }): void {
  const { from, to } = at.names;
  const failed = (reason: string): never => refuse(`cannot rename to '${to}': ${reason}`);
  const problem = nameProblem(to, 'dataset');
  if (problem !== undefined) failed(problem);
  requireParents(host, state, { name: to, make: at.options.parents });
  if (poolOf(from) !== poolOf(to)) failed('datasets must be within same pool');
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
function renameSnapshot(host: Host, { from, to }: FromTo, recursive: boolean): void {
  const [of = ''] = from.split('@');
  const [target = '', tag = ''] = to.includes('@') ? to.split('@') : [of, to];
  changePools(host, (state) => {
    const found = findSnapshot(state, from);
    if (found === undefined) refuse(openText(from, 'snapshot'));
    const failed = (name: string, reason: string): never => refuse(`cannot rename to '${name}': ${reason}`);
    if (target !== '' && target !== of) failed(to, 'snapshots must be part of same dataset');
    const problem = nameProblem(`${of}@${tag}`, 'snapshot');
    if (problem !== undefined) failed(`${of}@${tag}`, problem);
    const targets = sameSnapshots(state, { name: from, recursive });
    const taken = targets.find(({ name }) => findSnapshot(state, `${name.split('@')[0] ?? ''}@${tag}`) !== undefined);
    if (taken !== undefined && from !== `${of}@${tag}`)
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
