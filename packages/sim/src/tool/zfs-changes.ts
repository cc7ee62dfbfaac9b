/** `zfs destroy`, `zfs set` and `zfs inherit`: several objects per call, dry runs, and texts that add up. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import {
  clonesToDestroy,
  destroyBookmark,
  destroyDataset,
  destroyPlan,
  destroySnapshots,
  matchingSnapshots,
} from '../pool/destroy.ts';
import { openText } from '../pool/names.ts';
import { humanSize, isKnownProperty, isUserProperty } from '../pool/properties.ts';
import { NATIVE, propertyName } from '../pool/property-table.ts';
import { inheritProperty, requireInheritable, setProperties } from '../pool/settings.ts';
import { uniqueBytes } from '../pool/snapshot-space.ts';
import { findDataset, findSnapshot, type PoolState, readPools } from '../pool/state.ts';
import { type Getopt, has } from './getopt.ts';
import { isPlainUser, missing, pairsOf } from './zfs-arguments.ts';
import type { ZfsIo } from './zfs-permission.ts';
import { allObjects } from './zfs-table.ts';

export function destroy(host: Host, call: Getopt, io: ZfsIo): void {
  const { permit } = io;
  const name = call.operands[0] ?? missing('missing dataset argument');
  if (call.operands.length > 1) missing('too many arguments');
  if (name.includes('#')) {
    requirePlain(call);
    destroyBookmark(host, name, () => permit([name]));
    return;
  }
  if (has(call, 'd') && !name.includes('@'))
    throw new ToolError(`cannot open '${name}': missing '@' delimiter in snapshot name\n`, 1);
  const isOfSnapshots = name.includes('@');
  const options = {
    recursive: has(call, 'r') || has(call, 'R'),
    withClones: has(call, 'R'),
    defer: has(call, 'd'),
    mayUnmount: !isPlainUser(io),
    permit: (one: string) => permit([one]),
  };
  if (has(call, 'n') || has(call, 'v')) tellPlan(host, { call, io, name, options });
  if (has(call, 'n')) return;
  if (isOfSnapshots) destroySnapshots(host, name, options);
  else destroyDataset(host, name, options);
}

const NOT_OF_BOOKMARKS = [
  ['n', 'dryrun'],
  ['d', 'defer destroy'],
  ['r', 'recursive'],
  ['R', 'recursive'],
] as const;

function requirePlain(call: Getopt): void {
  const given = NOT_OF_BOOKMARKS.find(([letter]) => has(call, letter));
  if (given !== undefined) throw new ToolError(`${given[1]} is not supported with bookmark\n`, 255);
}

/** Refuses what cannot be planned, also when nothing is printed. */
function tellPlan(
  host: Host,
  at: { call: Getopt; io: ToolIo; name: string; options: { recursive: boolean; withClones: boolean } },
): void {
  const { call, io, name, options } = at;
  const state = readPools(host);
  const isOfSnapshots = name.includes('@');
  const plan = isOfSnapshots ? matchingSnapshots(state, name, options.recursive) : destroyPlan(state, name, options);
  if (!has(call, 'v') && !has(call, 'p')) return;
  io.out(destroyText(call, plan));
  if (!isOfSnapshots) return;
  io.out(reclaimText(host, state, { call, plan }));
  if (options.withClones && !has(call, 'n')) io.out(destroyText(call, clonesToDestroy(state, plan)));
}

function destroyText(call: Getopt, plan: readonly string[]): string {
  const verb = has(call, 'p') ? 'destroy\t' : has(call, 'n') ? 'would destroy ' : 'will destroy ';
  return plan.map((entry) => `${verb}${entry}\n`).join('');
}

function reclaimText(host: Host, state: PoolState, at: { call: Getopt; plan: readonly string[] }): string {
  const names = [...new Set(at.plan.map((entry) => entry.split('@')[0] ?? ''))];
  const bytes = names
    .map((name) => {
      const dataset = findDataset(state, name);
      const snapshots = at.plan.flatMap((entry) =>
        entry.startsWith(`${name}@`) ? (findSnapshot(state, entry)?.snapshot ?? []) : [],
      );
      return dataset === undefined ? 0 : uniqueBytes(host, state, { dataset, snapshots });
    })
    .reduce((sum, one) => sum + one, 0);
  if (has(at.call, 'p')) return `reclaim\t${bytes}\n`;
  return `${has(at.call, 'n') ? 'would' : 'will'} reclaim ${humanSize(bytes)}\n`;
}

/** Several datasets are set one by one: a missing one is reported, the others are changed all the same. */
export function set(host: Host, call: Getopt, { permit }: ZfsIo): void {
  const words = call.operands;
  const end = words.findIndex((word) => !word.includes('='));
  if (words.length === 0) missing('missing arguments');
  if (words.length === 1) missing(end === 0 ? 'missing property=value argument(s)' : 'missing dataset name(s)');
  if (end > 0 && words.slice(end).some((word) => word.includes('='))) missing('invalid argument order');
  if (end < 0) missing('missing dataset name(s)');
  const pairs = pairsOf(words.slice(0, end), 255);
  eachOpened(host, words.slice(end), (name) => {
    setProperties(host, name, { pairs, options: { keepsMounts: has(call, 'u'), permit: () => permit([name]) } });
  });
}

export function inherit(host: Host, call: Getopt, { permit }: ZfsIo): void {
  const [word = missing('missing property argument'), ...names] = call.operands;
  if (names.length === 0) missing('missing dataset argument');
  if (!(isUserProperty(word) && isKnownProperty(word)) && !NATIVE.has(propertyName(word)))
    missing(`invalid property '${word}'`);
  const toReceived = has(call, 'S');
  requireInheritable(word, toReceived);
  eachOpened(host, names, (name) => {
    inheritProperty(host, word, { name, recursive: has(call, 'r'), toReceived, permit: () => permit([word, name]) });
  });
}

/** What cannot be opened is told first; the others follow in the order of their names, each once (cmd/zfs/zfs_iter.c). */
function eachOpened(host: Host, names: readonly string[], work: (name: string) => void): void {
  const state = readPools(host);
  const there = allObjects(state).flatMap(({ name, bookmark }) =>
    bookmark === undefined && names.includes(name) ? name : [],
  );
  eachOf([...names.filter((name) => !there.includes(name)), ...there], (name) => {
    if (there.includes(name)) work(name);
    else throw new ToolError(`${openText(name, 'any')}\n`, 1);
  });
}

/** Goes on after a failure; all texts together, with the statuses joined bit by bit. */
export function eachOf(names: readonly string[], work: (name: string) => void): void {
  const failures: ToolError[] = [];
  for (const name of names) {
    try {
      work(name);
    } catch (err) {
      if (!(err instanceof ToolError)) throw err;
      failures.push(err);
    }
  }
  const status = failures.reduce((all, err) => all | err.status, 0);
  if (failures.length > 0) throw new ToolError(failures.map((err) => err.message).join(''), status);
}
