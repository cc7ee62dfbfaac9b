/** Commands of `zpool` for devices as such: added, taken out, their labels and their contents. */
import { existsSync } from 'node:fs';
import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { forget } from '../pool/pools.ts';
import { refuse } from '../pool/refuse.ts';
import { changePools, guidOf, type PoolRecord, readPools, type Vdev } from '../pool/state.ts';
import { leaves, requireFree, smallestDevice, startScan, usableBytes } from '../pool/vdevs.ts';
import { type Getopt, GetoptError, has } from './getopt.ts';
import { atMost, changePool, operand } from './zpool-change.ts';
import { isGrouping, plainLayout, vdevsOf } from './zpool-create.ts';
import { chosenPools } from './zpool-pools.ts';

export function add(host: Host, call: Getopt, io: ToolIo): void {
  const name = operand(call, 0, 'pool name argument');
  const words = call.operands.slice(1);
  if (words.length === 0) throw new GetoptError('missing vdev specification');
  changePool(host, name, (pool, state) => {
    for (const device of words.filter((word) => !isGrouping(word)))
      requireFree(host, state, { device, force: has(call, 'f') });
    const vdevs = vdevsOf(words, pool.vdevs.length);
    if (!has(call, 'f')) requireSameKind(pool, vdevs);
    if (has(call, 'n')) {
      io.out(
        `would update '${name}' to the following configuration:\n\n${plainLayout(name, pool.vdevs, true)}${plainLayout(undefined, vdevs)}`,
      );
      return;
    }
    pool.sizeBytes += vdevs.reduce((sum, vdev) => sum + usableBytes(smallestDevice(host, [vdev])), 0);
    pool.vdevs = [...pool.vdevs, ...vdevs];
  });
}

function requireSameKind(pool: PoolRecord, vdevs: readonly Vdev[]): void {
  const kind = (vdev: Vdev | undefined): string =>
    vdev?.children === undefined
      ? /^\/(?!dev\/)/.test(vdev?.name ?? '')
        ? 'file'
        : 'disk'
      : vdev.name.replace(/\d?-.*/, '');
  const [old, fresh] = [kind(pool.vdevs[0]), kind(vdevs[0])];
  if (old !== fresh)
    refuse(
      `invalid vdev specification\nuse '-f' to override the following errors:\nmismatched replication level: pool uses ${old} and new vdev is ${fresh}`,
    );
}

export function remove(host: Host, call: Getopt): void {
  const name = operand(call, 0, 'pool name argument');
  chosenPools(host, [name]);
  if (call.operands.length < 2) throw new GetoptError('missing device');
  for (const device of call.operands.slice(1))
    changePool(host, name, (pool) => {
      const top = pool.vdevs.find((vdev) => vdev.name === device);
      const isPart = leaves(pool.vdevs).some((vdev) => vdev.name === device);
      if (top === undefined)
        refuse(
          `cannot remove ${device}: ${isPart ? 'operation not supported on this type of pool' : 'no such device in pool'}`,
        );
      if (pool.vdevs.length === 1) refuse(`cannot remove ${device}: out of space`);
      pool.sizeBytes -= usableBytes(smallestDevice(host, [top]));
      pool.vdevs = pool.vdevs.filter((vdev) => vdev !== top);
    });
}

export function labelclear(host: Host, call: Getopt, io: ToolIo): void {
  const device = operand(call, 0, 'vdev name');
  atMost(call, 1);
  if (!existsSync(host.path(device)))
    refuse(
      device.startsWith('/')
        ? `failed to open ${device}: No such file or directory`
        : `failed to find device ${device}, try specifying absolute path instead`,
    );
  const { pools, away = [] } = readPools(host);
  const isIn = (pool: PoolRecord): boolean => leaves(pool.vdevs).some((vdev) => vdev.name === device);
  const active = pools.find(isIn);
  if (active !== undefined) {
    io.out('\n');
    const hint = has(call, 'f') ? '. Offline the disk first to clear its label.' : '';
    throw new ToolError(`${device} is a member (ACTIVE) of pool "${active.name}"${hint}`, 1);
  }
  const gone = away.find(({ pool }) => isIn(pool)) ?? refuse(`failed to read label from ${device}`);
  if (!gone.isDestroyed && !has(call, 'f'))
    refuse(`use '-f' to override the following error:\n${device} is a member of exported pool "${gone.pool.name}"`);
  changePools(host, (state) => forget(host, state, gone.pool.name));
}

export function resilver(host: Host, call: Getopt): void {
  operand(call, 0, 'pool name argument');
  for (const name of call.operands) changePool(host, name, (pool) => startScan(pool, 'RESILVER', 0));
}

/** `trim` and `initialize` work through the free space beside everything else; of that the stand-in shows nothing. */
export function fillFreeSpace(host: Host, call: Getopt): void {
  const name = operand(call, 0, 'pool name argument');
  const { pools } = readPools(host);
  const pool = pools.find((entry) => entry.name === name);
  // zpool_do_trim and zpool_do_initialize return -1 for a pool that cannot be opened.
  if (pool === undefined) return refuse(`cannot open '${name}': no such pool`, 255);
}

export function reguid(host: Host, call: Getopt): void {
  const name = operand(call, 0, 'pool name');
  atMost(call, 1);
  changePool(host, name, (pool, state) => {
    state.txg += 1;
    pool.guid = guidOf(host, `pool ${name} ${state.txg}`);
  });
}
