/** What users other than root may do (`zfs allow`), and how their calls are refused. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { openText } from '../pool/names.ts';
import { isOnlyRead, NATIVE, propertyName } from '../pool/property-table.ts';
import { refuse } from '../pool/refuse.ts';
import { changePools, findDataset, findSnapshot, type PoolState, parentOf, readPools } from '../pool/state.ts';
import { type Getopt, GetoptError, has } from './getopt.ts';

interface Need {
  /** Permission and the dataset that it is wanted on. */
  readonly wants: readonly (readonly [permission: string, dataset: string])[];
  readonly text: string;
  readonly status?: number;
}

const DENIED = 'permission denied';
const datasetOf = (name: string): string => name.split(/[@#]/)[0] ?? '';
const aboveOf = (name: string): string => parentOf(datasetOf(name)) ?? datasetOf(name);
const lastOf = (call: Getopt): string => call.operands.at(-1) ?? '';
const firstOf = (call: Getopt): string => call.operands[0] ?? '';

const NEEDS: Readonly<Record<string, (state: PoolState, call: Getopt) => Need>> = {
  create: (_state, call) => ({
    wants: [['create', aboveOf(firstOf(call))]],
    text: `cannot create '${firstOf(call)}': ${DENIED}`,
  }),
  clone: (_state, call) => ({
    wants: [
      ['clone', datasetOf(firstOf(call))],
      ['create', aboveOf(lastOf(call))],
    ],
    text: `cannot create '${lastOf(call)}': ${DENIED}`,
  }),
  destroy: (_state, call) => ({
    wants: [['destroy', datasetOf(firstOf(call))]],
    text: destroyText(firstOf(call)),
  }),
  snapshot: (_state, call) => ({
    wants: call.operands.map((name) => ['snapshot', datasetOf(name)] as const),
    text: `cannot create snapshots : ${DENIED}${has(call, 'r') || call.operands.length > 1 ? '\nno snapshots were created' : ''}`,
  }),
  diff: (_state, call) => ({
    wants: [['diff', datasetOf(call.operands.find((name) => !name.startsWith('@')) ?? '')]],
    text: `cannot diff: ${DENIED}`,
  }),
  set: (_state, call) => ({
    wants: [['userprop', datasetOf(lastOf(call))]],
    text: `cannot set property for '${lastOf(call)}': ${DENIED}`,
    status: 255,
  }),
  inherit: (_state, call) => ({
    wants: [['userprop', datasetOf(lastOf(call))]],
    text: `cannot inherit ${firstOf(call)} for '${lastOf(call)}': ${DENIED}`,
  }),
  rename: (_state, call) => ({
    wants: [
      ['rename', datasetOf(firstOf(call))],
      ['create', aboveOf(lastOf(call))],
    ],
    text: `cannot rename '${firstOf(call)}': ${DENIED}`,
  }),
  rollback: (_state, call) => ({
    wants: [['rollback', datasetOf(firstOf(call))]],
    text: `cannot rollback '${datasetOf(firstOf(call))}': ${DENIED}`,
  }),
  promote: (_state, call) => ({
    wants: [['promote', firstOf(call)]],
    text: `cannot promote '${firstOf(call)}': ${DENIED}`,
  }),
  bookmark: (_state, call) => ({
    wants: [['bookmark', datasetOf(firstOf(call))]],
    text: `cannot create bookmark '${lastOf(call)}': ${DENIED}`,
  }),
  hold: (_state, call) => ({
    wants: [['hold', datasetOf(lastOf(call))]],
    text: `cannot hold: ${DENIED}`,
  }),
  release: (_state, call) => ({
    wants: [['release', datasetOf(lastOf(call))]],
    text: `cannot release: ${DENIED}`,
  }),
  send: (_state, call) => ({
    wants: [['send', datasetOf(lastOf(call))]],
    text: `warning: cannot send '${lastOf(call)}': ${DENIED}`,
  }),
  receive: (_state, call) => ({
    wants: [['receive', aboveOf(lastOf(call))]],
    text: `cannot receive new filesystem stream: ${DENIED}`,
  }),
  mount: (_state, call) => ({
    wants: call.operands.map((name) => ['root', name] as const),
    text: `cannot mount '${lastOf(call)}': Insufficient privileges`,
  }),
  unmount: (state, call) => ({
    wants: [['root', firstOf(call)]],
    text: `cannot unmount '${findDataset(state, firstOf(call))?.mountedAt ?? firstOf(call)}': ${DENIED}`,
  }),
  allow: (_state, call) => ({
    wants: call.operands.length > 1 ? [['allow', lastOf(call)]] : [],
    text: `cannot set permissions on '${lastOf(call)}': ${DENIED}`,
  }),
  'load-key': (_state, call) => ({
    wants: [['load-key', lastOf(call)]],
    text: `Key load error: Permission denied.`,
    status: 255,
  }),
};

function destroyText(name: string): string {
  if (name.includes('#')) return `cannot destroy bookmark: ${DENIED}`;
  return name.includes('@') ? `cannot destroy snapshots: ${DENIED}` : `cannot destroy '${name}': ${DENIED}`;
}

/** Throws what the caller of a command may not do; `operands` narrows it down to one of several. */
export type Permit = (operands?: readonly string[]) => void;

/** What a command of `zfs` may use, and its own right to go on. */
export interface ZfsIo extends ToolIo {
  readonly permit: Permit;
}

export function permitFor(host: Host, command: string, at: { call: Getopt; io: ToolIo }): Permit {
  return (operands = at.call.operands) => {
    requirePermission(host, command, { io: at.io, call: { ...at.call, operands } });
  };
}

/** Names that do not exist are left to the command. */
function requirePermission(host: Host, command: string, at: { call: Getopt; io: ToolIo }): void {
  const { uid } = at.io;
  const need = NEEDS[command === 'unallow' ? 'allow' : command];
  if (uid === undefined || uid === 0 || need === undefined || has(at.call, 'n')) return;
  const state = readPools(host);
  const { wants, text, status } = need(state, at.call);
  if (wants.some(([, dataset]) => findDataset(state, dataset) === undefined)) return;
  if (command !== 'snapshot' && isMissingSnapshot(state, firstOf(at.call))) return;
  if (wants.some(([permission, dataset]) => !isGranted(state, { uid, permission, dataset }))) refuse(text, status);
}

function isMissingSnapshot(state: PoolState, name: string): boolean {
  return name.includes('@') && !/[%,]/.test(name) && findSnapshot(state, name) === undefined;
}

function isGranted(state: PoolState, at: { uid: number; permission: string; dataset: string }): boolean {
  return (state.grants ?? []).some(
    (grant) =>
      (grant.uid === at.uid || grant.uid === EVERYONE) &&
      (grant.dataset === at.dataset || at.dataset.startsWith(`${grant.dataset}/`)) &&
      grant.permissions.includes(at.permission),
  );
}

const EVERYONE = -1;

/** `zfs allow [-ldu] WHO PERMISSIONS DATASET`, `zfs allow -e PERMISSIONS DATASET`, and `zfs allow DATASET`. */
export function allow(host: Host, call: Getopt, io: ToolIo): void {
  const dataset = lastOf(call);
  if (call.operands.length === 0) throw new GetoptError('missing dataset argument');
  requireOpen(host, dataset);
  if (call.operands.length === 1) {
    io.out(grantsText(readPools(host), dataset));
    return;
  }
  const { uid, permissions } = grantOf(call);
  // A word that is no permission is the kernel's to refuse (lib/libzfs/libzfs_dataset.c zfs_set_fsacl).
  if (!permissions.every(isPermission))
    refuse(`cannot set permissions on '${dataset}': operation not applicable to datasets of this type`);
  changePools(host, (state) => {
    const others = (state.grants ?? []).filter((grant) => grant.dataset !== dataset || grant.uid !== uid);
    const before = (state.grants ?? []).find((grant) => grant.dataset === dataset && grant.uid === uid);
    const all = [...new Set([...(before?.permissions ?? []), ...permissions])].sort();
    state.grants = [...others, { dataset, uid, permissions: all }];
  });
}

function requireOpen(host: Host, dataset: string): void {
  if (findDataset(readPools(host), dataset) === undefined)
    refuse(`${openText(dataset, 'dataset')}\nFailed to open dataset: ${dataset}`, 255);
}

/** module/zcommon/zfs_deleg.c zfs_deleg_perm_tab; properties that may be set, and sets, are permissions too. */
const PERMISSIONS = new Set([
  ...['allow', 'bookmark', 'clone', 'create', 'destroy', 'diff', 'mount', 'promote', 'receive', 'receive:append'],
  ...['rename', 'rollback', 'snapshot', 'share', 'send', 'userprop', 'hold', 'release', 'load-key', 'change-key'],
  ...['user', 'group', 'project'].flatMap((whose) =>
    ['quota', 'used', 'objquota', 'objused'].map((what) => `${whose}${what}`),
  ),
]);

function isPermission(word: string): boolean {
  const rule = NATIVE.get(propertyName(word));
  return word.startsWith('@') || PERMISSIONS.has(word) || (rule !== undefined && !isOnlyRead(rule));
}

function grantOf(call: Getopt): { uid: number; permissions: string[] } {
  const [who = '', list = ''] = has(call, 'e') ? ['everyone', call.operands[0]] : call.operands;
  const uid = who === 'everyone' ? EVERYONE : who === 'root' ? 0 : who === 'nobody' ? 65_534 : Number(who);
  if (Number.isNaN(uid)) throw new ToolError(`invalid user/group '${who}'\n`.replace("user/group '", "user '"), 1);
  return { uid, permissions: list.split(',').filter((word) => word !== '') };
}

export function unallow(host: Host, call: Getopt): void {
  const dataset = lastOf(call);
  if (call.operands.length < 1) throw new GetoptError('missing dataset argument');
  requireOpen(host, dataset);
  const [who = '', list] = call.operands.slice(0, -1);
  const { uid } = grantOf({ ...call, operands: [who, ''] });
  const gone = list?.split(',');
  changePools(host, (state) => {
    state.grants = (state.grants ?? []).flatMap((grant) => {
      if (grant.uid !== uid || grant.dataset !== dataset) return [grant];
      const left = gone === undefined ? [] : grant.permissions.filter((permission) => !gone.includes(permission));
      return left.length === 0 ? [] : [{ ...grant, permissions: left }];
    });
  });
}

const RULE_WIDTH = 70;

function grantsText(state: PoolState, dataset: string): string {
  let text = '';
  for (let name: string | undefined = dataset; name !== undefined; name = parentOf(name)) {
    const grants = (state.grants ?? []).filter((grant) => grant.dataset === name);
    if (grants.length === 0) continue;
    const lines = grants.map(({ uid, permissions }) => `\t${holderText(uid)} ${permissions.join(',')}\n`);
    text += `${`---- Permissions on ${name} `.padEnd(RULE_WIDTH, '-')}\nLocal+Descendent permissions:\n${lines.join('')}`;
  }
  return text;
}

function holderText(uid: number): string {
  if (uid === EVERYONE) return 'everyone';
  return `user ${uid === 65_534 ? 'nobody' : uid === 0 ? 'root' : `(unknown: ${uid})`}`;
}
