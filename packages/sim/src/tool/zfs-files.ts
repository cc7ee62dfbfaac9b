/** `zfs diff`, `zfs userspace` and `zfs groupspace`: what lies in the files of a dataset. */
import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { humanSize } from '../pool/properties.ts';
import { directoryOf, findDataset, findSnapshot, type PoolState, readPools, snapshotDirectory } from '../pool/state.ts';
import { mountDirectories } from '../pool/trees.ts';
import { type Getopt, GetoptError, has, last } from './getopt.ts';

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

function treeNamed(host: Host, state: PoolState, name: string): Tree {
  const snapshot = findSnapshot(state, name)?.snapshot;
  if (snapshot !== undefined) return treeOf(snapshotDirectory(host, snapshot), new Set());
  const dataset = findDataset(state, name) ?? missing(name);
  return treeOf(directoryOf(host, dataset) ?? '', mountDirectories(host, state));
}

function missing(name: string): never {
  throw new ToolError(`cannot open '${name}': dataset does not exist\n`, 1);
}

export function diff(host: Host, call: Getopt, io: ToolIo): void {
  const from = call.operands[0];
  if (from === undefined) throw new GetoptError('must provide at least one snapshot name');
  const state = readPools(host);
  const of = from.split('@')[0] ?? '';
  if (!from.includes('@')) throw new ToolError(`Badly formed snapshot name ${from}\n`, 1);
  if (findSnapshot(state, from) === undefined)
    throw new ToolError(`cannot open '${from}': dataset does not exist\nUnable to obtain diffs\n`, 1);
  const mounted = findDataset(state, of)?.mountedAt ?? `/${of}`;
  const before = treeNamed(host, state, from);
  const after = treeNamed(host, state, call.operands[1] ?? of);
  for (const [mark, path, stat] of changesOf(before, after))
    io.out(diffLine(call, { mark, stat, path: join(mounted, path) }));
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

const BLOCK_BYTES = 512;

export function userspace(host: Host, call: Getopt, at: { io: ToolIo; kind: 'User' | 'Group' }): void {
  const name = call.operands[0];
  if (name === undefined) throw new GetoptError('missing dataset name');
  const state = readPools(host);
  const totals = new Map<number, { bytes: number; objects: number }>();
  for (const stat of treeNamed(host, state, name).values()) {
    const id = at.kind === 'User' ? stat.uid : stat.gid;
    const total = totals.get(id) ?? { bytes: 0, objects: 0 };
    totals.set(id, {
      bytes: total.bytes + (stat.isDirectory() ? BLOCK_BYTES : stat.blocks * BLOCK_BYTES + BLOCK_BYTES),
      objects: total.objects + 1,
    });
  }
  const size = (bytes: number): string => (has(call, 'p') ? String(bytes) : humanSize(bytes));
  const none = has(call, 'p') ? '0' : 'none';
  const fields = (last(call, 'o') ?? 'type,name,used,quota,objused,objquota').split(',');
  const rows = [...totals]
    .sort(([a], [b]) => a - b)
    .map(([id, { bytes, objects }]): Readonly<Record<string, string>> => {
      const label = has(call, 'n') || id !== 0 ? String(id) : 'root';
      return {
        type: `POSIX ${at.kind}`,
        name: label,
        used: size(bytes),
        quota: none,
        objused: String(objects),
        objquota: none,
      };
    })
    .map((row) => fields.map((field) => row[field] ?? '-'));
  if (has(call, 'H')) at.io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else at.io.out(table([fields.map((field) => field.toUpperCase()), ...rows]));
}

function table(rows: readonly (readonly string[])[]): string {
  const width = (i: number): number => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  return rows
    .map((row) => `${row.map((cell, i) => (i === 0 ? cell.padEnd(width(i)) : cell.padStart(width(i)))).join('  ')}\n`)
    .join('');
}
