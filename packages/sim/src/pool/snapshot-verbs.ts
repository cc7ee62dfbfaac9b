/** Taking, rolling back and cloning snapshots: files are copied outside the lock, records change inside. */
import { rmSync } from 'node:fs';
import type { Host } from '../host/host.ts';
import { cloneDependents, destroyBookmark, destroyDataset, destroySnapshots } from './destroy.ts';
import { copyTree } from './files.ts';
import { attach, mountsItself } from './mounting.ts';
import { nameProblem, openText } from './names.ts';
import { isUserProperty } from './properties.ts';
import { type FromTo, type Pairs, refuse } from './refuse.ts';
import {
  arrivingDirectory,
  changePools,
  clonesOf,
  type DatasetRecord,
  directoryOf,
  findDataset,
  findSnapshot,
  guidOf,
  mountDirectories,
  newDataset,
  type PoolState,
  poolOf,
  readPools,
  type SnapshotRecord,
  snapshotDirectory,
  subtree,
} from './state.ts';
import { referencedBytes } from './usage.ts';
import { requireParents, requireShort, stored } from './verbs.ts';

/** Several at once are one step: either all or none. */
export async function takeSnapshots(
  host: Host,
  names: readonly string[],
  options: { recursive?: boolean; properties?: Pairs } = {},
): Promise<void> {
  const state = readPools(host);
  for (const name of names) requireSource(state, name.split('@')[0] ?? '');
  const all = names.flatMap((name) => snapshotTargets(state, name, options.recursive === true));
  requireNew(state, names, all);
  if ((options.properties ?? []).some(([name]) => !isUserProperty(name)))
    refuse('cannot create snapshots : this property can not be modified for snapshots');
  requireShort(options.properties ?? [], 'cannot create snapshots ');
  const made: { name: string; guid: string; bytes: number }[] = [];
  for (const name of all) {
    const dataset = findDataset(state, name.split('@')[0] ?? '') as DatasetRecord;
    const guid = guidOf(host, `${name} ${state.txg} ${made.length}`);
    const directory = directoryOf(host, dataset);
    if (directory !== undefined) {
      const copy = snapshotDirectory(host, { guid });
      // Of one that was killed while it copied.
      rmSync(copy, { recursive: true, force: true });
      await copyTree(directory, copy, mountDirectories(host, state));
    }
    made.push({ name, guid, bytes: referencedBytes(host, dataset, mountDirectories(host, state)) });
  }
  changePools(host, (now) => {
    now.txg += 1;
    for (const { name, guid, bytes } of made) {
      const [of = '', tag = ''] = name.split('@');
      findDataset(now, of)?.snapshots.push({
        name: tag,
        guid,
        createtxg: now.txg,
        creation: Math.floor(Date.now() / 1000),
        referencedBytes: bytes,
        properties: Object.fromEntries(options.properties ?? []),
        holds: [],
      });
    }
  });
}

/** One snapshot of a file system at a time, all of one pool. `all`: with those of the datasets below. */
function requireNew(state: PoolState, names: readonly string[], all: readonly string[]): void {
  const none = all.length > 1 ? '\nno snapshots were created' : '';
  const datasets = names.map((name) => name.split('@')[0] ?? '');
  if (new Set(datasets).size < datasets.length || new Set(datasets.map(poolOf)).size > 1)
    refuse(`cannot create snapshots : multiple snapshots of same fs not allowed${none}`);
  const taken = all.filter((name) => findSnapshot(state, name) !== undefined);
  const lines = taken.map((name) => `cannot create snapshot '${name}': dataset already exists`);
  if (lines.length > 0) refuse(`${lines.join('\n')}${none}`);
}

/** zfs answers this one as a usage error, and before it looks at the names of the snapshots. */
function requireSource(state: PoolState, name: string): void {
  if (findDataset(state, name) === undefined) refuse(openText(name, 'dataset'), 2);
}

function snapshotTargets(state: PoolState, name: string, recursive: boolean): string[] {
  const problem = nameProblem(name, 'snapshot');
  if (problem !== undefined) refuse(`cannot create snapshot '${name}': ${problem}`);
  const [of = '', tag = ''] = name.split('@');
  return recursive ? subtree(state, of).map((dataset) => `${dataset.name}@${tag}`) : [name];
}

export async function rollback(
  host: Host,
  name: string,
  options: { destroyNewer: boolean; withClones: boolean; permit?: () => void },
): Promise<void> {
  const state = readPools(host);
  const { dataset, snapshot } = findSnapshot(state, name) ?? refuse(openText(name, 'snapshot'));
  const later = dataset.snapshots.slice(dataset.snapshots.indexOf(snapshot) + 1);
  const newer = later.map((entry) => `${dataset.name}@${entry.name}`);
  const marks = dataset.bookmarks.filter((entry) => entry.createtxg > snapshot.createtxg);
  const inTheWay = [...newer, ...marks.map((entry) => `${dataset.name}#${entry.name}`)];
  const clones = newer.flatMap((entry) => clonesOf(state, entry));
  requireNewest(name, {
    newer: options.destroyNewer ? [] : inTheWay,
    clones: options.withClones ? [] : newer.flatMap((entry) => cloneDependents(state, entry)),
  });
  options.permit?.();
  for (const clone of clones) destroyDataset(host, clone, { recursive: true, withClones: true });
  for (const entry of newer) destroyUnlessHeld(host, entry);
  for (const mark of marks) destroyBookmark(host, `${dataset.name}#${mark.name}`);
  const directory = directoryOf(host, dataset);
  if (directory === undefined) return;
  const replacedBy = await copyOf(host, snapshot);
  changePools(host, (now) => {
    const found = findDataset(now, dataset.name);
    if (found !== undefined) found.replacedBy = replacedBy;
  });
}

let copies = 0;

/** The files of a snapshot, on their way to a dataset. */
async function copyOf(host: Host, snapshot: SnapshotRecord): Promise<string> {
  copies += 1;
  const name = `${snapshot.guid}.${process.pid}.${copies}`;
  rmSync(arrivingDirectory(host, name), { recursive: true, force: true });
  await copyTree(snapshotDirectory(host, snapshot), arrivingDirectory(host, name), new Set());
  return name;
}

function requireNewest(name: string, inTheWay: { newer: readonly string[]; clones: readonly string[] }): void {
  const failed = (reason: string, names: readonly string[]): never =>
    refuse(`cannot rollback to '${name}': ${reason}\n${limited(names).join('\n')}`);
  if (inTheWay.newer.length > 0) {
    failed(
      "more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:",
      inTheWay.newer,
    );
  }
  if (inTheWay.clones.length > 0) {
    failed(
      "clones of previous snapshots exist\nuse '-R' to force deletion of the following clones and dependents:",
      inTheWay.clones,
    );
  }
}

const LISTED = 32;

/** The real program says that it stops there, and goes on. */
function limited(names: readonly string[]): string[] {
  return names.length <= LISTED
    ? [...names]
    : [...names.slice(0, LISTED), 'Output limited to 32 snapshots/bookmarks', ...names.slice(LISTED)];
}

function destroyUnlessHeld(host: Host, name: string): void {
  const isHeld = (findSnapshot(readPools(host), name)?.snapshot.holds.length ?? 0) > 0;
  if (isHeld) refuse(`cannot destroy '${name}': dataset is busy`);
  destroySnapshots(host, name);
}

/** A clone has them from its origin (lib/libzfs/libzfs_crypto.c zfs_crypto_clone_check). */
const KEY_PROPERTIES = new Set(['encryption', 'keyformat', 'keylocation', 'pbkdf2iters']);

export async function cloneSnapshot(
  host: Host,
  { from, to }: FromTo,
  options: { properties: Pairs; parents: boolean; unmounted?: boolean; permit?: () => void },
): Promise<void> {
  const failed = (reason: string): never => refuse(`cannot create '${to}': ${reason}`);
  const source = findSnapshot(readPools(host), from) ?? refuse(openText(from, 'snapshot'));
  const problem = nameProblem(to, 'dataset');
  if (problem !== undefined) failed(problem);
  if (options.parents && findDataset(readPools(host), to) !== undefined) return;
  const replacedBy = source.dataset.type === 'volume' ? undefined : await copyOf(host, source.snapshot);
  const make = (state: PoolState): void => {
    requireParents(host, state, { name: to, make: options.parents });
    const properties = stored(options.properties, { kind: source.dataset.type, failed });
    if (options.properties.some(([key]) => KEY_PROPERTIES.has(key)))
      failed('Encryption properties must inherit from origin dataset.');
    options.permit?.();
    requireShort(options.properties, `cannot create '${to}'`);
    if (poolOf(from) !== poolOf(to)) failed('source and target pools differ');
    if (findDataset(state, to) !== undefined) failed('dataset already exists');
    const { volsize, volblocksize } = source.dataset.properties;
    const dataset = newDataset(host, state, {
      name: to,
      type: source.dataset.type,
      properties: {
        ...properties,
        ...(volsize === undefined ? {} : { volsize }),
        ...(volblocksize === undefined ? {} : { volblocksize }),
      },
      origin: from,
    });
    state.datasets.push({ ...dataset, ...(replacedBy === undefined ? {} : { replacedBy }) });
  };
  try {
    changePools(host, make);
  } catch (err) {
    if (replacedBy !== undefined) rmSync(arrivingDirectory(host, replacedBy), { recursive: true, force: true });
    throw err;
  }
  if (options.unmounted !== true)
    changePools(host, (state) => {
      const dataset = findDataset(state, to);
      if (dataset !== undefined && mountsItself(state, dataset)) attach(host, state, dataset);
    });
}
