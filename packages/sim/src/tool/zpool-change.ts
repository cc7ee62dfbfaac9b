/** The commands of `zpool` that change a pool or its devices. */
import { setTimeout as later } from 'node:timers/promises';
import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { mountedBelow } from '../pool/mounting.ts';
import { bringBack, takeAway } from '../pool/pools.ts';
import { refuse } from '../pool/refuse.ts';
import { changePools, findDataset, type PoolRecord, type PoolState, readPools, type Vdev } from '../pool/state.ts';
import { usageOf } from '../pool/usage.ts';
import {
  cancelScan,
  changed,
  isScanning,
  isSpare,
  leaves,
  requireDevice,
  requireFree,
  setVdevs,
  startResilver,
  startScan,
} from '../pool/vdevs.ts';
import { type Getopt, GetoptError, has, last } from './getopt.ts';
import { poolNameProblem } from './zpool-pools.ts';
import { layoutText } from './zpool-status.ts';

/** Changes one pool of the host. */
export function changePool<T>(host: Host, name: string, change: (pool: PoolRecord, state: PoolState) => T): T {
  return changePools(host, (state) => {
    const pool = state.pools.find((entry) => entry.name === name);
    return change(pool ?? refuse(`cannot open '${name}': ${poolNameProblem(name) ?? 'no such pool'}`), state);
  });
}

export function operand(call: Getopt, index: number, what: string): string {
  const found = call.operands[index];
  if (found === undefined) throw new GetoptError(`missing ${what}`);
  return found;
}

/** More words than a command takes. */
export function atMost(call: Getopt, count: number): void {
  if (call.operands.length > count) throw new GetoptError('too many arguments');
}

export function destroy(host: Host, call: Getopt, io: ToolIo): void {
  const name = operand(call, 0, 'pool argument');
  atMost(call, 1);
  changePool(host, name, (_pool, state) => {
    const last = mountedBelow(state, name).at(-1);
    const failed = `could not destroy '${name}': could not unmount datasets`;
    if ((io.uid ?? 0) !== 0)
      refuse(
        last === undefined
          ? `cannot destroy '${name}': permission denied`
          : `cannot unmount '${last.mountedAt ?? ''}': permission denied\n${failed}`,
      );
    try {
      takeAway(host, state, { name, isDestroyed: true });
    } catch (err) {
      if (!(err instanceof ToolError)) throw err;
      throw new ToolError(`${err.message}${failed}\n`, 1);
    }
  });
}

export function exportPool(host: Host, call: Getopt): void {
  if (has(call, 'a')) atMost(call, 0);
  else operand(call, 0, 'pool argument');
  const names = has(call, 'a') ? readPools(host).pools.map((pool) => pool.name) : call.operands;
  for (const name of names)
    changePool(host, name, (_pool, state) => {
      takeAway(host, state, { name, isDestroyed: false });
    });
}

export function importPool(host: Host, call: Getopt, io: ToolIo): void {
  atMost(call, has(call, 'a') ? 0 : 2);
  const state = readPools(host);
  const folders = call.options.get('d');
  const found = (state.away ?? []).filter(
    ({ pool, isDestroyed }) =>
      isDestroyed === has(call, 'D') && leaves(pool.vdevs).every(({ name }) => isFound(name, folders)),
  );
  const name = call.operands[0];
  if (name === undefined && !has(call, 'a')) {
    if (found.length === 0) io.err('no pools available to import\n');
    io.out(found.map(({ pool, isDestroyed }) => candidateText(pool, isDestroyed)).join('\n'));
    return;
  }
  const names = name === undefined ? found.map(({ pool }) => pool.name) : [name];
  if (names.length === 0) io.err('no pools available to import\n');
  for (const one of names)
    importOne(host, {
      name: one,
      as: call.operands[1] ?? one,
      found: found.map(({ pool }) => pool),
      mount: !has(call, 'N'),
    });
}

function importOne(host: Host, at: { name: string; as: string; found: readonly PoolRecord[]; mount: boolean }): void {
  const pool = at.found.find((entry) => entry.name === at.name || entry.guid === at.name);
  const isHere = readPools(host).pools.some((entry) => entry.name === at.as);
  if (isHere)
    refuse(
      `cannot import '${at.name}': a pool with that name already exists\nuse the form 'zpool import <pool | id> <newpool>' to give it a new name`,
    );
  if (pool === undefined) refuse(`cannot import '${at.name}': no such pool available`);
  changePools(host, (state) => {
    const as = at.as === pool.guid ? pool.name : at.as;
    bringBack(host, state, { name: pool.name, as, mount: at.mount });
  });
}

/** Files are only looked for where -d says. */
function isFound(device: string, folders: readonly string[] | undefined): boolean {
  if (folders === undefined) return !device.startsWith('/') || device.startsWith('/dev/');
  return folders.some((folder) => device === folder || device.startsWith(`${folder.replace(/\/$/, '')}/`));
}

function candidateText(pool: PoolRecord, isDestroyed: boolean): string {
  return `  pool: ${pool.name}\n    id: ${pool.guid}\n state: ${pool.health}${isDestroyed ? ' (DESTROYED)' : ''}\naction: The pool can be imported using its name or numeric identifier.\nconfig:\n\n${layoutText(pool)}`;
}

export function offline(host: Host, call: Getopt): void {
  for (const device of call.operands.slice(1))
    changePool(host, operand(call, 0, 'pool name'), (pool) => {
      requireDevice(pool, { device, verb: 'offline' });
      if (!isSpare(pool.vdevs, device)) refuse(`cannot offline ${device}: no valid replicas`);
      setVdevs(
        pool,
        changed(pool.vdevs, device, (vdev) => ({ ...vdev, state: has(call, 'f') ? 'FAULTED' : 'OFFLINE' })),
      );
    });
  if (call.operands.length < 2)
    throw new GetoptError(call.operands.length === 0 ? 'missing pool name' : 'missing device name');
}

export function online(host: Host, call: Getopt): void {
  if (call.operands.length < 2)
    throw new GetoptError(call.operands.length === 0 ? 'missing pool name' : 'missing device name');
  for (const device of call.operands.slice(1))
    changePool(host, call.operands[0] ?? '', (pool) => {
      const before = requireDevice(pool, { device, verb: 'online' });
      setVdevs(
        pool,
        changed(pool.vdevs, device, (vdev) => ({ ...vdev, state: 'ONLINE' })),
      );
      if (before.state !== 'ONLINE') startResilver(pool, device, 0);
    });
}

export function attachDevice(host: Host, call: Getopt, verb: 'attach' | 'replace'): void {
  const [name, device] = [operand(call, 0, 'pool name argument'), operand(call, 1, '<device> specification')];
  atMost(call, 3);
  const other = verb === 'attach' ? operand(call, 2, '<new_device> specification') : (call.operands[2] ?? device);
  changePool(host, name, (pool, state) => {
    const before = leaves(pool.vdevs).find((vdev) => vdev.name === device);
    if (other !== device || before?.state === 'ONLINE')
      requireFree(host, state, { device: other, force: has(call, 'f') });
    if (before === undefined)
      refuse(
        `cannot ${verb === 'attach' ? `attach ${other} to ${device}` : `replace ${device} with ${other}`}: no such device in pool`,
      );
    const fresh: Vdev = { name: other, state: 'ONLINE' };
    const isInMirror = pool.vdevs.some(({ children }) => children?.some((child) => child.name === device) === true);
    setVdevs(
      pool,
      changed(pool.vdevs, device, (vdev) => {
        if (verb === 'replace') return fresh;
        return isInMirror
          ? [vdev, fresh]
          : { name: `mirror-${pool.vdevs.indexOf(vdev)}`, state: 'ONLINE', children: [vdev, fresh] };
      }),
    );
    startResilver(pool, other, usageOf(host, state).get(name)?.used ?? 0);
  });
}

export function detachDevice(host: Host, call: Getopt): void {
  const [name, device] = [operand(call, 0, 'pool name argument'), operand(call, 1, '<device> specification')];
  changePool(host, name, (pool) => {
    requireDevice(pool, { device, verb: 'detach' });
    if (!pool.vdevs.some(({ children }) => children?.some((child) => child.name === device) === true))
      refuse(`cannot detach ${device}: only applicable to mirror and replacing vdevs`, 255);
    if (!isSpare(pool.vdevs, device)) refuse(`cannot detach ${device}: no valid replicas`);
    setVdevs(
      pool,
      changed(pool.vdevs, device, () => []),
    );
  });
}

export function clear(host: Host, call: Getopt): void {
  const [name, device] = [operand(call, 0, 'pool name'), call.operands[1]];
  atMost(call, 2);
  changePool(host, name, (pool) => {
    const cleared = leaves(pool.vdevs).filter((vdev) => device === undefined || vdev.name === device);
    if (cleared.length === 0) refuse(`cannot clear errors for ${device ?? ''}: no such device in pool`);
    for (const { name } of cleared)
      setVdevs(
        pool,
        changed(pool.vdevs, name, ({ checksumErrors: _gone, ...vdev }) => vdev),
      );
  });
}

export function scrub(host: Host, call: Getopt): void {
  if (has(call, 's') && has(call, 'p'))
    throw new GetoptError('invalid option combination: -s and -p are mutually exclusive');
  if (has(call, 'w') && (has(call, 's') || has(call, 'p')))
    throw new GetoptError('invalid option combination: -w cannot be used with -p or -s');
  if (call.operands.length === 0) throw new GetoptError('missing pool name argument');
  for (const name of call.operands)
    changePool(host, name, (pool, state) => {
      // To pause what does not run is no error (lib/libzfs/libzfs_pool.c zpool_scan).
      if (has(call, 'p')) return;
      if (has(call, 's')) {
        if (!isScanning(pool)) refuse(`cannot cancel scrubbing ${name}: there is no active scrub`);
        cancelScan(pool);
      } else if (isScanning(pool))
        refuse(`cannot scrub ${name}: currently scrubbing; use 'zpool scrub -s' to cancel scrub`);
      else startScan(pool, 'SCRUB', usageOf(host, state).get(name)?.used ?? 0);
    });
}

const POLL_MS = 100;
const ACTIVITIES = new Set([
  ...['discard', 'free', 'initialize', 'replace', 'remove', 'resilver', 'scrub', 'trim', 'raidz_expand'],
]);

export async function wait(host: Host, call: Getopt): Promise<void> {
  const activities = (last(call, 't') ?? 'scrub').split(',');
  const odd = activities.find((word) => !ACTIVITIES.has(word));
  if (odd !== undefined) throw new GetoptError(`invalid activity '${odd}'`);
  const name = operand(call, 0, "'pool' argument");
  atMost(call, 1);
  const scanning = (): boolean => {
    const pool = readPools(host).pools.find((entry) => entry.name === name);
    return isScanning(pool ?? refuse(`cannot open '${name}': no such pool`));
  };
  while (scanning()) await later(POLL_MS);
}

export function checkpoint(host: Host, call: Getopt): void {
  if (has(call, 'w') && !has(call, 'd')) throw new GetoptError('--wait only valid when --discard also specified');
  const name = operand(call, 0, 'pool argument');
  atMost(call, 1);
  changePool(host, name, (pool, state) => {
    if (has(call, 'd')) {
      if (pool.checkpointBytes === undefined)
        refuse(`cannot discard checkpoint on '${name}': checkpoint does not exist`);
      delete pool.checkpointBytes;
      return;
    }
    if (pool.checkpointBytes !== undefined) refuse(`cannot checkpoint '${name}': checkpoint exists`);
    pool.checkpointBytes = Math.floor((usageOf(host, state).get(findDataset(state, name)?.name ?? '')?.used ?? 0) / 2);
  });
}
