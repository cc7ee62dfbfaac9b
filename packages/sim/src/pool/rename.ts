/** Renaming datasets and snapshots; the files move with the name. */
import { existsSync, mkdirSync, renameSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Host } from '../host.ts';
import { isBusy } from './files.ts';
import { nameProblem } from './names.ts';
import { changePools, type DatasetRecord, directoryOf, findDataset, findSnapshot, poolOf, readPools } from './state.ts';
import { type FromTo, refuse, requireParent } from './verbs.ts';

export function renameDataset(host: Host, names: FromTo, options: { parents: boolean; unmounted: boolean }): void {
  const { from, to } = names;
  if (from.includes('@')) {
    renameSnapshot(host, from, to);
    return;
  }
  const failed = (reason: string): never => refuse(`cannot rename to '${to}': ${reason}`);
  const state = readPools(host);
  const dataset = findDataset(state, from) ?? refuse(`cannot open '${from}': dataset does not exist`);
  const problem = renameProblem(names);
  if (problem !== undefined) failed(problem);
  const before = directoryOf(host, state, dataset);
  if (!options.unmounted && before !== undefined && isBusy(before))
    refuse(`cannot unmount '${host.inHost(before)}': pool or dataset is busy`);
  const after = changePools(host, (now) => {
    if (findDataset(now, to) !== undefined) failed('dataset already exists');
    requireParent(host, now, { name: to, failed, make: options.parents });
    now.datasets = now.datasets.map((entry) => renamed(entry, from, to));
    return directoryOf(host, now, findDataset(now, to) as DatasetRecord);
  });
  moveFiles(before, after);
}

function renameProblem({ from, to }: FromTo): string | undefined {
  if (nameProblem(to, 'dataset') !== undefined) return nameProblem(to, 'dataset');
  if (poolOf(from) !== poolOf(to)) return 'datasets must be within same pool';
  return to.startsWith(`${from}/`) ? 'New dataset name cannot be a descendant of current dataset name' : undefined;
}

function moveFiles(before: string | undefined, after: string | undefined): void {
  if (before === undefined || after === undefined || before === after || !existsSync(before)) return;
  mkdirSync(dirname(after), { recursive: true });
  if (existsSync(after)) rmdirSync(after);
  renameSync(before, after);
}

function renamed(entry: DatasetRecord, from: string, to: string): DatasetRecord {
  const move = (name: string): string =>
    name === from || name.startsWith(`${from}/`) || name.startsWith(`${from}@`)
      ? `${to}${name.slice(from.length)}`
      : name;
  return { ...entry, name: move(entry.name), ...(entry.origin === undefined ? {} : { origin: move(entry.origin) }) };
}

function renameSnapshot(host: Host, from: string, to: string): void {
  const tag = to.split('@').at(-1) ?? to;
  changePools(host, (state) => {
    const found = findSnapshot(state, from) ?? refuse(`cannot open '${from}': dataset does not exist`);
    const target = `${found.dataset.name}@${tag}`;
    if (findSnapshot(state, target) !== undefined) refuse(`cannot rename to '${target}': dataset already exists`);
    found.dataset.snapshots = found.dataset.snapshots.map((entry) =>
      entry === found.snapshot ? { ...entry, name: tag } : entry,
    );
    for (const dataset of state.datasets) if (dataset.origin === from) dataset.origin = target;
  });
}
