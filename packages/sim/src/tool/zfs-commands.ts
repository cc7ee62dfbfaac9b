/** The commands of `zfs`: their letters, and what each makes of its arguments. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { bookmark, promote } from '../pool/clone-verbs.ts';
import { mountAll, mountDataset, unmountDataset, unmountPool } from '../pool/mounting.ts';
import { nameProblem } from '../pool/names.ts';
import { sizeBytes, sizeProblem } from '../pool/properties.ts';
import type { Pairs } from '../pool/refuse.ts';
import { renameDataset } from '../pool/rename.ts';
import { hold, loadKey, release, sameSnapshots, unloadKey } from '../pool/settings.ts';
import { cloneSnapshot, rollback, takeSnapshots } from '../pool/snapshot-verbs.ts';
import { changePools, findDataset, findSnapshot, readPools } from '../pool/state.ts';
import { type CreateOptions, createDataset, verifyEarly } from '../pool/verbs.ts';
import { type Getopt, has, last } from './getopt.ts';
import { firstLine, fromTo, missing, operands, pairs } from './zfs-arguments.ts';
import { destroy, eachOf, inherit, set } from './zfs-changes.ts';
import { diff, userspace } from './zfs-files.ts';
import { allow, unallow } from './zfs-permission.ts';
import { zfsGet, zfsList } from './zfs-read.ts';
import { receiveStream, send } from './zfs-send.ts';
import { dateText } from './zfs-table.ts';

interface Command {
  readonly letters: string;
  readonly long?: Readonly<Record<string, string>>;
  readonly run: (host: Host, call: Getopt, io: ToolIo) => Promise<void> | void;
}

const JSON_LONG = { 'json-int': 'J', json: 'j' } as const;

export const COMMANDS: Readonly<Record<string, Command>> = {
  version: { letters: 'j', run: version },
  create: { letters: 'Pnpuvsb:V:o:', run: create },
  destroy: { letters: 'rRfdnpv', run: destroy },
  snapshot: { letters: 'ro:', run: snapshot },
  rollback: {
    letters: 'rRf',
    run: (host, call) =>
      rollback(host, operands(call, 'missing dataset argument')[0] ?? '', {
        destroyNewer: has(call, 'r') || has(call, 'R'),
        withClones: has(call, 'R'),
      }),
  },
  clone: { letters: 'o:p', run: clone },
  promote: {
    letters: '',
    run: (host, call) => {
      promote(host, operands(call, 'missing clone filesystem argument')[0] ?? '');
    },
  },
  rename: {
    letters: 'pruf',
    run: rename,
  },
  bookmark: {
    letters: '',
    run: (host, call) => {
      const [from = missing('missing source argument'), to = missing('missing bookmark argument')] = call.operands;
      bookmark(host, bookmarkNames(from, to));
    },
  },
  diff: { letters: 'FHth', run: diff },
  list: { letters: 'Hpjrd:o:s:S:t:', long: JSON_LONG, run: zfsList },
  set: { letters: 'u', run: set },
  get: { letters: 'rHpjd:o:t:s:', long: JSON_LONG, run: zfsGet },
  inherit: { letters: 'rS', run: inherit },
  userspace: { letters: 'Hinpo:s:S:t:', run: (host, call, io) => userspace(host, call, { io, kind: 'User' }) },
  groupspace: { letters: 'Hinpo:s:S:t:', run: (host, call, io) => userspace(host, call, { io, kind: 'Group' }) },
  mount: { letters: 'ajRlvo:Of', long: { json: 'j' }, run: mount },
  unmount: { letters: 'afu', run: unmount },
  send: { letters: 'DLPbcehnpsVvwRi:I:t:X:', run: send },
  receive: { letters: 'vMnsFhudeAo:x:', run: receiveStream },
  allow: { letters: 'ldugecs', run: allow },
  unallow: { letters: 'rldugecs', run: unallow },
  hold: { letters: 'r', run: (host, call) => eachSnapshot(call, (tag, at) => hold(host, tag, at)) },
  holds: { letters: 'rHp', run: holds },
  release: { letters: 'r', run: (host, call) => eachSnapshot(call, (tag, at) => release(host, tag, at)) },
  'load-key': {
    letters: 'rnaL:',
    run: async (host, call, io) => {
      loadKey(host, keyed(call), await firstLine(io));
    },
  },
  'unload-key': {
    letters: 'ra',
    run: (host, call) => {
      unloadKey(host, keyed(call));
    },
  },
};

function keyed(call: Getopt): string {
  return operands(call, 'Missing dataset argument or -a option')[0] ?? '';
}

/** Arguments of a create, as far as they can be looked at without the pool. */
interface Creation {
  readonly name: string;
  readonly properties: Pairs;
  readonly volumeBytes: number | undefined;
}

function creationOf(call: Getopt): Creation {
  const volumeBytes = givenSize(call, 'V', 'bad volume size');
  const blockBytes = givenSize(call, 'b', 'bad volume block size');
  const given = pairs(call);
  const isVolume = volumeBytes !== undefined;
  if ((has(call, 's') || has(call, 'b')) && !isVolume) missing("'-s' and '-b' can only be used when creating a volume");
  if (has(call, 'u') && isVolume) missing("'-u' can only be used when creating a filesystem");
  const [name = ''] = operands(call, isVolume ? 'missing volume argument' : 'missing filesystem argument');
  const block = blockBytes === undefined ? [] : [['volblocksize', String(blockBytes)] as const];
  return { name, volumeBytes, properties: [...given, ...block] };
}

async function create(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const { name, properties, volumeBytes } = creationOf(call);
  const isVolume = volumeBytes !== undefined;
  if (has(call, 'n') || isVolume) verifyEarly(host, name, { properties, isVolume, isDry: has(call, 'n') });
  const isThere = nameProblem(name, 'dataset') === undefined && findDataset(readPools(host), name) !== undefined;
  if (has(call, 'p') && isThere) return;
  if (has(call, 'P') || has(call, 'v')) io.out(createText(call, name));
  if (has(call, 'n')) return;
  const isEncrypted = properties.some(([key, value]) => key === 'encryption' && value !== 'off');
  const passphrase = isEncrypted ? { passphrase: await firstLine(io) } : {};
  make(host, { call, io, name, options: { properties, ...(isVolume ? { volumeBytes } : {}), ...passphrase } });
}

function givenSize(call: Getopt, letter: string, problem: string): number | undefined {
  const size = last(call, letter);
  if (size === undefined) return undefined;
  const bytes = sizeBytes(size);
  if (bytes === undefined) throw new ToolError(`${problem} '${size}': ${sizeProblem(size)}\n`, 1);
  return bytes;
}

function make(host: Host, at: { call: Getopt; io: ToolIo; name: string; options: CreateOptions }): void {
  const { call, io, name, options } = at;
  const problem = createDataset(host, name, {
    ...options,
    parents: has(call, 'p'),
    unmounted: has(call, 'u') || isPlainUser(io),
    sparse: has(call, 's'),
  });
  if (problem !== undefined) throw new ToolError(problem, 1);
  if (isPlainUser(io) && !has(call, 'u') && options.volumeBytes === undefined) requireRootToMount();
}

function isPlainUser({ uid }: ToolIo): boolean {
  return (uid ?? 0) !== 0;
}

/** A delegated user makes the dataset, but Linux lets only root mount it. */
function requireRootToMount(): never {
  throw new ToolError('filesystem successfully created, but it may only be mounted by root\n', 1);
}

/** -v and -n; with -P for programs. */
function createText(call: Getopt, name: string): string {
  const isForPrograms = has(call, 'P');
  const verb = (what: string): string =>
    isForPrograms ? `${what}\t` : `${has(call, 'n') ? 'would ' : ''}${what.replace('_', ' ')} `;
  const line = ([key, value]: readonly [string, string]): string =>
    isForPrograms ? `property\t${key}\t${value}\n` : `\t${key}=${value}\n`;
  const ancestors = has(call, 'p') ? `${verb('create_ancestors')}${isForPrograms ? '' : 'of '}${name}\n` : '';
  return `${ancestors}${verb('create')}${name}\n${pairs(call).map(line).join('')}`;
}

async function snapshot(host: Host, call: Getopt): Promise<void> {
  if (call.operands.length === 0) missing('missing snapshot argument');
  if (call.operands.some((name) => !name.includes('@'))) missing('');
  await takeSnapshots(host, call.operands, { recursive: has(call, 'r'), properties: pairs(call) });
}

async function clone(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  await cloneSnapshot(host, fromTo(call), {
    properties: pairs(call),
    parents: has(call, 'p'),
    unmounted: isPlainUser(io),
  });
  if (isPlainUser(io)) requireRootToMount();
}

function rename(host: Host, call: Getopt): void {
  const names = fromTo(call);
  if (has(call, 'r') && has(call, 'p')) missing('-p and -r options are mutually exclusive');
  if (has(call, 'u') && has(call, 'p')) missing('-u and -p options are mutually exclusive');
  if (has(call, 'r') && !names.from.includes('@')) missing('source dataset for recursive rename must be a snapshot');
  renameDataset(host, names, { parents: has(call, 'p'), unmounted: has(call, 'u'), recursive: has(call, 'r') });
}

/** Either name may leave out the dataset, which the other then gives. */
function bookmarkNames(from: string, to: string): { from: string; to: string } {
  if (!/[@#]/.test(from)) missing(`invalid source name '${from}': must contain a '@' or '#'`);
  if (!to.includes('#')) missing(`invalid bookmark name '${to}': must contain a '#'`);
  const [isShortFrom, isShortTo] = [/^[@#]/.test(from), to.startsWith('#')];
  if (isShortFrom && isShortTo) missing('either source or bookmark must be specified as full dataset paths');
  const of = (isShortFrom ? to : from).split(/[@#]/)[0] ?? '';
  return { from: isShortFrom ? `${of}${from}` : from, to: isShortTo ? `${of}${to}` : to };
}

/** Each snapshot on its own; a refusal does not stop the others. */
function eachSnapshot(call: Getopt, work: (tag: string, at: { name: string; recursive: boolean }) => void): void {
  const [tag = '', ...names] = call.operands;
  if (names.length === 0) missing('');
  if (tag.startsWith('.')) missing("tag may not start with '.'");
  eachOf(names, (name) => {
    work(tag, { name, recursive: has(call, 'r') });
  });
}

function holds(host: Host, call: Getopt, io: ToolIo): void {
  if (call.operands.length === 0) missing('');
  const state = readPools(host);
  const isRecursive = has(call, 'r');
  const problems: string[] = [];
  const found = call.operands.flatMap((name) => {
    const opened = isRecursive ? (name.split('@')[0] ?? '') : name;
    const isThere = isRecursive ? findDataset(state, opened) !== undefined : findSnapshot(state, name) !== undefined;
    if (!name.includes('@')) problems.push(`'${name}' is not a snapshot\n`);
    else if (!isThere) problems.push(`cannot open '${opened}': dataset does not exist\n`);
    else return sameSnapshots(state, { name, recursive: isRecursive });
    return [];
  });
  const rows = found.flatMap(({ name, snapshot }) =>
    snapshot.holds.map(({ tag, time }) => [name, tag, has(call, 'p') ? String(time) : dateText(time)]),
  );
  if (has(call, 'H')) io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else io.out(holdsTable(['NAME', 'TAG', 'TIMESTAMP'], rows, Math.max(0, ...found.map(({ name }) => name.length))));
  if (problems.length > 0) throw new ToolError(`${problems.join('')}${found.length === 0 ? NOTHING : ''}`, 1);
  if (found.length === 0) io.err(NOTHING);
}

const NOTHING = 'no datasets available\n';

/** The heading does not widen the columns. */
function holdsTable(heading: readonly string[], rows: readonly (readonly string[])[], nameWidth: number): string {
  const tagWidth = Math.max(0, ...rows.map((row) => row[1]?.length ?? 0));
  return [heading, ...rows]
    .map(([name = '', tag = '', time = '']) => `${name.padEnd(nameWidth)}  ${tag.padEnd(tagWidth)}  ${time}\n`)
    .join('');
}

const MOUNT_WIDTH = 30;

function mount(host: Host, call: Getopt, io: ToolIo): void {
  if ((has(call, 'j') || has(call, 'a')) && call.operands.length > 0) missing('too many arguments');
  if (has(call, 'R') && call.operands.length === 0) missing('no dataset provided');
  if (has(call, 'a') || has(call, 'R'))
    changePools(host, (state) => {
      for (const below of has(call, 'a') ? [undefined] : call.operands) mountAll(host, state, below);
    });
  else if (call.operands.length === 0) io.out(mountsText(host, has(call, 'j')));
  else {
    const [name = ''] = operands(call, '');
    changePools(host, (state) => {
      mountDataset(host, state, name);
    });
  }
}

function mountsText(host: Host, isJson: boolean): string {
  const mounts = [...readPools(host).datasets]
    .sort((a, b) => (a.mountSerial ?? 0) - (b.mountSerial ?? 0))
    .flatMap(({ name, mountedAt }) => (mountedAt === undefined ? [] : [{ name, mountedAt }]));
  if (!isJson) return mounts.map(({ name, mountedAt }) => `${name.padEnd(MOUNT_WIDTH)}  ${mountedAt}\n`).join('');
  if (mounts.length === 0) return '';
  const datasets = mounts.map(({ name, mountedAt }) => [name, { filesystem: name, mountpoint: mountedAt }] as const);
  const output_version = { command: 'zfs mount', vers_major: 0, vers_minor: 1 };
  return `${JSON.stringify({ output_version, datasets: Object.fromEntries(datasets) })}\n`;
}

function unmount(host: Host, call: Getopt): void {
  if (has(call, 'a')) {
    if (call.operands.length > 0) missing('too many arguments');
    changePools(host, (state) => {
      for (const pool of state.pools) unmountPool(host, state, pool.name);
    });
    return;
  }
  const [name = ''] = operands(call, 'missing filesystem argument');
  changePools(host, (state) => {
    unmountDataset(host, state, name);
  });
}

function version(host: Host, call: Getopt, io: ToolIo): void {
  io.out(versionText(host, has(call, 'j') ? 'zfs version' : undefined));
}

/** `zfs version` and `zpool version`. */
export function versionText(host: Host, jsonOf: string | undefined): string {
  const userland = host.identity.zfsVersion;
  const kernel = userland.replace('zfs-', 'zfs-kmod-');
  if (jsonOf === undefined) return `${userland}\n${kernel}\n`;
  const output_version = { command: jsonOf, vers_major: 0, vers_minor: 1 };
  return `${JSON.stringify({ output_version, zfs_version: { userland, kernel } })}\n`;
}
