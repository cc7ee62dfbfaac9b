/** The commands of `zfs`: their letters, and what each makes of its arguments. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { bookmark, promote } from '../pool/clone-verbs.ts';
import { renameDataset } from '../pool/rename.ts';
import { type HoldAt, hold, release, sameSnapshots } from '../pool/settings.ts';
import { rollback, takeSnapshots } from '../pool/snapshot-verbs.ts';
import { findDataset, findSnapshot, readPools } from '../pool/state.ts';
import { type Getopt, has } from './getopt.ts';
import { fromTo, isPlainUser, missing, operands, pairs } from './zfs-arguments.ts';
import { destroy, eachOf, inherit, set } from './zfs-changes.ts';
import { clone, create } from './zfs-create.ts';
import { diff } from './zfs-files.ts';
import { changeKeys, loadKeys, unloadKeys } from './zfs-keys.ts';
import { mount, share, unmount, unshare } from './zfs-mounts.ts';
import { allow, unallow, type ZfsIo } from './zfs-permission.ts';
import { zfsGet, zfsList } from './zfs-read.ts';
import { receiveStream } from './zfs-receive.ts';
import { send } from './zfs-send.ts';
import { SEND_LONG } from './zfs-send-options.ts';
import { dateText } from './zfs-table.ts';
import { upgrade, wait } from './zfs-upgrade.ts';
import { userspace } from './zfs-userspace.ts';

interface Command {
  readonly letters: string;
  readonly long?: Readonly<Record<string, string>>;
  readonly run: (host: Host, call: Getopt, io: ZfsIo) => Promise<void> | void;
  /** It calls `io.permit` itself, after the checks that need no kernel; the others are not begun without. */
  readonly asksLate?: true;
}

const JSON_LONG = { 'json-int': 'J', json: 'j' } as const;

export const COMMANDS: Readonly<Record<string, Command>> = {
  version: { letters: 'j', long: { json: 'j' }, run: version },
  create: { letters: ':Pnpuvsb:V:o:', run: create, asksLate: true },
  destroy: { letters: 'rRfdnpv', run: destroy, asksLate: true },
  snapshot: { letters: 'ro:', run: snapshot },
  rollback: {
    letters: 'rRf',
    run: (host, call, { permit }) =>
      rollback(host, operands(call, 'missing dataset argument')[0] ?? '', {
        destroyNewer: has(call, 'r') || has(call, 'R'),
        withClones: has(call, 'R'),
        permit,
      }),
    asksLate: true,
  },
  clone: { letters: 'o:p', run: clone, asksLate: true },
  promote: {
    letters: '',
    run: (host, call) => {
      promote(host, operands(call, 'missing clone filesystem argument')[0] ?? '');
    },
  },
  rename: { letters: 'pruf', run: rename, asksLate: true },
  bookmark: {
    letters: '',
    run: (host, call) => {
      const [from = missing('missing source argument'), to = missing('missing bookmark argument')] = call.operands;
      bookmark(host, bookmarkNames(from, to));
    },
  },
  diff: { letters: 'FHth', run: diff, asksLate: true },
  list: { letters: 'Hpjrd:o:s:S:t:', long: JSON_LONG, run: zfsList },
  set: { letters: 'u', run: set, asksLate: true },
  get: { letters: ':rHpjd:o:t:s:', long: JSON_LONG, run: zfsGet },
  inherit: { letters: 'rS', run: inherit, asksLate: true },
  upgrade: { letters: 'rvV:a', run: upgrade },
  userspace: { letters: 'Hinpo:s:S:t:', run: (host, call, io) => userspace(host, call, { io, kind: 'User' }) },
  groupspace: { letters: 'Hinpo:s:S:t:', run: (host, call, io) => userspace(host, call, { io, kind: 'Group' }) },
  mount: { letters: ':ajRlvo:Of', long: { json: 'j' }, run: mount, asksLate: true },
  unmount: { letters: 'afu', run: unmount, asksLate: true },
  share: { letters: 'al', run: share },
  unshare: { letters: ':a', run: unshare },
  send: { letters: ':DLPSbcehnpsVvwRd:i:I:t:X:', long: SEND_LONG, run: send },
  receive: { letters: ':vMnsFhudeAco:x:', run: receiveStream },
  allow: { letters: 'ldugecs', run: allow },
  unallow: { letters: 'rldugecs', run: unallow },
  hold: {
    letters: 'rt',
    run: (host, call, io) => eachSnapshot(call, io, (tag, at) => hold(host, tag, at)),
    asksLate: true,
  },
  holds: { letters: 'rHp', run: holds },
  release: {
    letters: 'r',
    run: (host, call, io) => eachSnapshot(call, io, (tag, at) => release(host, tag, at)),
    asksLate: true,
  },
  'load-key': { letters: 'rnaL:', run: loadKeys },
  'unload-key': { letters: 'ra', run: unloadKeys },
  'change-key': { letters: 'lio:', run: changeKeys },
  wait: { letters: 't:', run: wait },
};

async function snapshot(host: Host, call: Getopt): Promise<void> {
  if (call.operands.length === 0) missing('missing snapshot argument');
  if (call.operands.some((name) => !name.includes('@'))) missing('');
  await takeSnapshots(host, call.operands, { recursive: has(call, 'r'), properties: pairs(call) });
}

function rename(host: Host, call: Getopt, io: ZfsIo): void {
  const names = fromTo(call);
  if (has(call, 'r') && has(call, 'p')) missing('-p and -r options are mutually exclusive');
  if (has(call, 'u') && has(call, 'p')) missing('-u and -p options are mutually exclusive');
  if (has(call, 'r') && !names.from.includes('@')) missing('source dataset for recursive rename must be a snapshot');
  renameDataset(host, names, {
    parents: has(call, 'p'),
    unmounted: has(call, 'u'),
    recursive: has(call, 'r'),
    mayUnmount: !isPlainUser(io),
    permit: io.permit,
  });
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
function eachSnapshot(call: Getopt, { permit }: ZfsIo, work: (tag: string, at: HoldAt) => void): void {
  const [tag = '', ...names] = call.operands;
  if (names.length === 0) missing('');
  if (tag.startsWith('.')) missing("tag may not start with '.'");
  eachOf(names, (name) => {
    work(tag, { name, recursive: has(call, 'r'), permit: () => permit([tag, name]) });
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

function version(host: Host, call: Getopt, io: ToolIo): void {
  if (call.operands.length > 0) missing('too many arguments');
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
