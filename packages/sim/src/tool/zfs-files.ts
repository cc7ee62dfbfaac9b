/** `zfs diff`: what differs between the files of two moments. */
import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { nameProblem, openText } from '../pool/names.ts';
import { refuse } from '../pool/refuse.ts';
import {
  directoryOf,
  findDataset,
  findSnapshot,
  mountDirectories,
  type PoolState,
  readPools,
  snapshotDirectory,
} from '../pool/state.ts';
import { type Getopt, GetoptError, has } from './getopt.ts';
import type { ZfsIo } from './zfs-permission.ts';

type Tree = ReadonlyMap<string, Stats>;

/** Paths relative to the root, which is `/`. */
function treeOf(root: string, without: ReadonlySet<string>): Tree {
  const tree = new Map<string, Stats>();
  const walk = (path: string): void => {
    const full = join(root, path);
    const stat = path !== '/' && without.has(full) ? undefined : lstatSync(full, { throwIfNoEntry: false });
    if (stat === undefined) return;
    tree.set(path, stat);
    if (stat.isDirectory()) for (const name of readdirSync(full).sort()) walk(join(path, name));
  };
  walk('/');
  return tree;
}

/** Of a file system or a snapshot that is there. */
export function treeNamed(host: Host, state: PoolState, name: string): Tree {
  const snapshot = findSnapshot(state, name)?.snapshot;
  if (snapshot !== undefined) return treeOf(snapshotDirectory(host, snapshot), new Set());
  const dataset = findDataset(state, name);
  const directory = dataset === undefined ? undefined : directoryOf(host, dataset);
  return directory === undefined ? new Map() : treeOf(directory, mountDirectories(host, state));
}

export function diff(host: Host, call: Getopt, io: ZfsIo): void {
  const [from, to] = call.operands;
  if (from === undefined) throw new GetoptError('must provide at least one snapshot name');
  if (call.operands.length > 2) throw new GetoptError('too many arguments');
  const opened = (from.startsWith('@') ? to : from)?.split('@')[0];
  if (opened === undefined) throw new GetoptError('');
  const state = readPools(host);
  const dataset = findDataset(state, opened) ?? refuse(openText(opened, 'dataset'));
  if (dataset.type === 'volume') refuse(`cannot open '${opened}': operation not applicable to datasets of this type`);
  const pair = pairOf(state, { from, to, isPermitted: () => isGiven(io) });
  const mountedAt = findDataset(state, pair.to.split('@')[0] ?? '')?.mountedAt;
  if (mountedAt === undefined)
    return refuse('Cannot diff an unmounted snapshot: operation not applicable to datasets of this type');
  requireOrder(state, pair);
  const [before, after] = [treeNamed(host, state, pair.from), treeNamed(host, state, pair.to)];
  for (const [mark, path, stat] of changesOf(before, after))
    io.out(diffLine(call, { mark, stat, path: join(mountedAt, path) }));
}

interface Pair {
  readonly from: string;
  readonly to: string;
}

/** Full names; one of the two may leave out its dataset (lib/libzfs/libzfs_diff.c get_snapshot_names). */
function pairOf(state: PoolState, at: { from: string; to: string | undefined; isPermitted: () => boolean }): Pair {
  const { from, to } = at;
  const problem = to === undefined ? nameProblem(from, 'snapshot') : undefined;
  if (problem !== undefined) refuse(`Badly formed snapshot name ${from}: ${problem}`);
  const { own, tag, other, otherTag } = partsOf(from, to);
  if (tag === '' || otherTag === '' || own === '')
    refuse('Unable to determine which snapshots to compare: invalid name');
  if (own !== other && !isCloneOf(state, other, own)) refuse(NOT_EARLIER);
  if (!at.isPermitted()) refuse(otherTag === undefined ? NOT_TAKEN : NOT_READ);
  return { from: `${own}@${tag}`, to: otherTag === undefined ? other : `${other}@${otherTag}` };
}

function partsOf(from: string, to: string | undefined): { own: string; tag: string; other: string; otherTag?: string } {
  const [of = '', tag = ''] = from.split('@');
  const [toOf = '', otherTag] = (to ?? of).split('@');
  const parts = { own: of === '' ? toOf : of, tag, other: toOf === '' ? of : toOf };
  return otherTag === undefined ? parts : { ...parts, otherTag };
}

const NOT_EARLIER = 'Not an earlier snapshot from the same fs: invalid name';
const NOT_TAKEN =
  'The diff delegated permission is needed in order\nto create a just-in-time snapshot for diffing\n: unable to generate diffs';
const NOT_READ =
  'Unable to obtain diffs: \n   The sys_mount privilege or diff delegated permission is needed\n   to execute the diff ioctl';

function isGiven({ permit }: ZfsIo): boolean {
  try {
    permit();
    return true;
  } catch (err) {
    if (err instanceof ToolError) return false;
    throw err;
  }
}

function isCloneOf(state: PoolState, name: string, source: string): boolean {
  const dataset = findDataset(state, name) ?? refuse(`${openText(name, 'dataset')}\n${NOT_EARLIER}`);
  const origin = dataset.origin?.split('@')[0];
  return origin !== undefined && (origin === source || isCloneOf(state, origin, source));
}

/** Both are there, and the first is the older one. */
function requireOrder(state: PoolState, { from, to }: Pair): void {
  const failed = (reason: string): never => refuse(`Unable to obtain diffs: ${reason}`);
  const first = findSnapshot(state, from)?.snapshot ?? failed('No such file or directory');
  if (!to.includes('@')) return;
  const second = findSnapshot(state, to)?.snapshot ?? failed('No such file or directory');
  if (second.createtxg <= first.createtxg) failed('\n   Not an earlier snapshot from the same fs');
}

/** Gone, new, changed files; directories whose list changed come last. */
function changesOf(before: Tree, after: Tree): [mark: string, path: string, stat: Stats][] {
  const gone = [...before].filter(([path]) => !after.has(path));
  const fresh = [...after].filter(([path]) => !before.has(path));
  const changed = [...after].filter(([path, stat]) => {
    const old = before.get(path);
    return old !== undefined && !stat.isDirectory() && (old.size !== stat.size || old.mtimeMs !== stat.mtimeMs);
  });
  const parents = new Set([...gone, ...fresh].map(([path]) => join(path, '..')));
  const directories = [...after].filter(([path]) => parents.has(path) && before.has(path));
  return [
    ...gone.map(([path, stat]) => ['-', path, stat] as [string, string, Stats]),
    ...fresh.map(([path, stat]) => ['+', path, stat] as [string, string, Stats]),
    ...[...changed, ...directories].map(([path, stat]) => ['M', path, stat] as [string, string, Stats]),
  ];
}

function diffLine(call: Getopt, at: { mark: string; path: string; stat: Stats }): string {
  const time = has(call, 't') ? [(at.stat.ctimeMs / 1000).toFixed(9)] : [];
  const kind = has(call, 'F') ? [kindMark(at.stat)] : [];
  const gap = has(call, 'H') ? '\t' : ' '.repeat(7);
  return `${[...time, at.mark, ...kind, at.path].join(has(call, 'H') ? '\t' : gap)}\n`;
}

function kindMark(stat: Stats): string {
  if (stat.isDirectory()) return '/';
  if (stat.isSymbolicLink()) return '@';
  if (stat.isFIFO()) return '|';
  return stat.isSocket() ? '=' : 'F';
}
