/** The commands of `zfs`: their letters, and what each makes of its arguments. */
import type { Host } from '../host.ts';
import { bookmark, promote } from '../pool/clone-verbs.ts';
import { mountAll, mountDataset, unmountDataset } from '../pool/mounting.ts';
import { sizeBytes } from '../pool/properties.ts';
import { renameDataset } from '../pool/rename.ts';
import { hold, loadKey, release, sameSnapshots, unloadKey } from '../pool/settings.ts';
import { cloneSnapshot, rollback, takeSnapshots } from '../pool/snapshot-verbs.ts';
import { changePools, findSnapshot, readPools } from '../pool/state.ts';
import { type CreateOptions, createDataset } from '../pool/verbs.ts';
import { ToolError, type ToolIo } from '../tool.ts';
import { type Getopt, has, last } from './getopt.ts';
import { firstLine, missing, operand, pairs } from './zfs-arguments.ts';
import { destroy, inherit, set } from './zfs-changes.ts';
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
      rollback(host, call.operands[0] ?? missing('missing dataset argument'), {
        destroyNewer: has(call, 'r') || has(call, 'R'),
        withClones: has(call, 'R'),
      }),
  },
  clone: { letters: 'puo:', run: clone },
  promote: {
    letters: '',
    run: (host, call) => {
      promote(host, call.operands[0] ?? missing('missing clone filesystem argument'));
    },
  },
  rename: {
    letters: 'pruf',
    run: (host, call) => {
      renameDataset(
        host,
        { from: operand(call, 0), to: operand(call, 1) },
        { parents: has(call, 'p'), unmounted: has(call, 'u'), recursive: has(call, 'r') },
      );
    },
  },
  bookmark: {
    letters: '',
    run: (host, call) => {
      bookmark(
        host,
        call.operands[0] ?? missing('missing source argument'),
        call.operands[1] ?? missing('missing bookmark argument'),
      );
    },
  },
  diff: { letters: 'FHth', run: diff },
  list: { letters: 'Hpjrd:o:s:S:t:', long: JSON_LONG, run: zfsList },
  set: { letters: 'u', run: set },
  get: { letters: 'rHpjd:o:t:s:', long: JSON_LONG, run: zfsGet },
  inherit: { letters: 'rS', run: inherit },
  userspace: { letters: 'Hinpo:s:S:t:', run: (host, call, io) => userspace(host, call, { io, kind: 'User' }) },
  groupspace: { letters: 'Hinpo:s:S:t:', run: (host, call, io) => userspace(host, call, { io, kind: 'Group' }) },
  mount: { letters: 'aflvOR:o:', run: mount },
  unmount: {
    letters: 'afu',
    run: (host, call) => {
      changePools(host, (state) => {
        unmountDataset(host, state, call.operands[0] ?? missing('missing filesystem argument'));
      });
    },
  },
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
      loadKey(host, operand(call, 0), await firstLine(io));
    },
  },
  'unload-key': {
    letters: 'ra',
    run: (host, call) => {
      unloadKey(host, operand(call, 0));
    },
  },
};

async function create(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  const volumeBytes = volumeSize(call);
  const isVolume = volumeBytes !== undefined;
  const name = call.operands[0] ?? missing(isVolume ? 'missing volume argument' : 'missing filesystem argument');
  const block = last(call, 'b');
  const properties = [...pairs(call), ...(block === undefined ? [] : [['volblocksize', block] as const])];
  if (has(call, 'n') || has(call, 'v')) io.out(createText(call, name));
  if (has(call, 'n')) return;
  const isEncrypted = properties.some(([key, value]) => key === 'encryption' && value !== 'off');
  const passphrase = isEncrypted ? { passphrase: await firstLine(io) } : {};
  make(host, { call, io, name, options: { properties, ...(isVolume ? { volumeBytes } : {}), ...passphrase } });
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

function volumeSize(call: Getopt): number | undefined {
  const size = last(call, 'V');
  if (size === undefined) return undefined;
  return sizeBytes(size) ?? missing(`bad volume size '${size}': bad numeric value '${size}'`);
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
  if (!isForPrograms && !has(call, 'v')) return '';
  const verb = isForPrograms ? 'create\t' : has(call, 'n') ? 'would create ' : 'create ';
  const line = ([key, value]: readonly [string, string]): string =>
    isForPrograms ? `property\t${key}\t${value}\n` : `\t${key}=${value}\n`;
  return `${verb}${name}\n${pairs(call).map(line).join('')}`;
}

async function snapshot(host: Host, call: Getopt): Promise<void> {
  if (call.operands.length === 0) missing('missing snapshot argument');
  if (call.operands.some((name) => !name.includes('@'))) missing('');
  await takeSnapshots(host, call.operands, { recursive: has(call, 'r'), properties: pairs(call) });
}

async function clone(host: Host, call: Getopt, io: ToolIo): Promise<void> {
  await cloneSnapshot(
    host,
    { from: operand(call, 0), to: operand(call, 1) },
    { properties: pairs(call), parents: has(call, 'p'), unmounted: has(call, 'u') || isPlainUser(io) },
  );
  if (isPlainUser(io)) requireRootToMount();
}

function eachSnapshot(call: Getopt, work: (tag: string, at: { name: string; recursive: boolean }) => void): void {
  const tag = call.operands[0] ?? missing('missing tag argument');
  if (call.operands.length < 2) missing('missing snapshot argument');
  for (const name of call.operands.slice(1)) work(tag, { name, recursive: has(call, 'r') });
}

function holds(host: Host, call: Getopt, io: ToolIo): void {
  if (call.operands.length === 0) missing('missing snapshot argument');
  const state = readPools(host);
  const rows = call.operands.flatMap((name) => {
    if (!name.includes('@')) throw new ToolError(`'${name}' is not a snapshot\n`, 1);
    if (findSnapshot(state, name) === undefined && !has(call, 'r'))
      throw new ToolError(`cannot open '${name}': dataset does not exist\n`, 1);
    return sameSnapshots(state, { name, recursive: has(call, 'r') }).flatMap((found) =>
      found.snapshot.holds.map(({ tag, time }) => [found.name, tag, has(call, 'p') ? String(time) : dateText(time)]),
    );
  });
  if (has(call, 'H')) io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else if (rows.length > 0) io.out(holdsTable([['NAME', 'TAG', 'TIMESTAMP'], ...rows]));
}

function holdsTable(rows: readonly (readonly string[])[]): string {
  const width = (i: number): number => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  return rows
    .map(([name = '', tag = '', time = '']) => `${name.padEnd(width(0))}  ${tag.padEnd(width(1))}  ${time}\n`)
    .join('');
}

const MOUNT_WIDTH = 30;

function mount(host: Host, call: Getopt, io: ToolIo): void {
  const name = call.operands[0];
  if (name !== undefined)
    changePools(host, (state) => {
      mountDataset(host, state, name);
    });
  else if (has(call, 'a') || has(call, 'R'))
    changePools(host, (state) => {
      mountAll(host, state, last(call, 'R'));
    });
  else
    io.out(
      [...readPools(host).datasets]
        .sort((a, b) => (a.mountSerial ?? 0) - (b.mountSerial ?? 0))
        .flatMap((one) => (one.mountedAt === undefined ? [] : [`${one.name.padEnd(MOUNT_WIDTH)}  ${one.mountedAt}\n`]))
        .join(''),
    );
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
