/** `zfs mount`, `zfs unmount`, `zfs share` and `zfs unshare`; nothing of the stand-in is ever shared. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { mountAll, mountDataset, unmountDataset, unmountPool } from '../pool/mounting.ts';
import { openText } from '../pool/names.ts';
import { refuse } from '../pool/refuse.ts';
import { changePools, findDataset, mountpointOf, readPools } from '../pool/state.ts';
import { type Getopt, has } from './getopt.ts';
import { isPlainUser, missing, operands } from './zfs-arguments.ts';
import type { ZfsIo } from './zfs-permission.ts';

const MOUNT_WIDTH = 30;

export function mount(host: Host, call: Getopt, io: ZfsIo): void {
  requireMountable(call);
  if (has(call, 'a') || has(call, 'R')) mountSeveral(host, call, io);
  else if (call.operands.length === 0) io.out(mountsText(host, has(call, 'j')));
  else {
    const [name = ''] = operands(call, '');
    changePools(host, (state) => {
      mountDataset(host, state, { name, permit: io.permit });
    });
  }
}

function requireMountable(call: Getopt): void {
  const isNamed = call.operands.length > 0;
  if (call.options.get('o')?.includes('') === true) missing('empty mount options (-o) specified');
  if ((has(call, 'j') || has(call, 'a')) && isNamed) missing('too many arguments');
  if (has(call, 'R') && !isNamed) missing('no dataset provided');
  if (has(call, 'o') && !isNamed && !has(call, 'a')) missing(NO_FILESYSTEM);
}

const NO_FILESYSTEM = 'missing filesystem argument (specify -a for all)';

function mountSeveral(host: Host, call: Getopt, io: ToolIo): void {
  const state = readPools(host);
  const gone = call.operands.find((name) => findDataset(state, name) === undefined);
  if (gone !== undefined) missing(openText(gone, 'dataset'));
  const tops = has(call, 'a') ? [undefined] : call.operands;
  changePools(host, (now) => {
    const before = new Set(now.datasets.filter(({ mountedAt }) => mountedAt !== undefined));
    for (const top of tops) mountAll(host, now, top);
    const fresh = now.datasets.filter((dataset) => dataset.mountedAt !== undefined && !before.has(dataset));
    if (isPlainUser(io) && fresh.length > 0)
      refuse(fresh.map(({ name }) => `cannot mount '${name}': Insufficient privileges`).join('\n'));
  });
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

export function unmount(host: Host, call: Getopt, { permit }: ZfsIo): void {
  if (has(call, 'a')) {
    if (call.operands.length > 0) missing('too many arguments');
    changePools(host, (state) => {
      for (const pool of state.pools) unmountPool(host, state, pool.name);
    });
    return;
  }
  const [name = ''] = operands(call, 'missing filesystem argument');
  changePools(host, (state) => {
    unmountDataset(host, state, { name, permit });
  });
}

export function share(host: Host, call: Getopt): void {
  if (has(call, 'a')) return;
  if (call.operands.length === 0) missing(NO_FILESYSTEM);
  const [name = ''] = operands(call, '');
  requireShareable(host, name, {
    verb: 'share',
    hint: 'use exports(5) or smb.conf(5) to share this filesystem, or set the sharenfs or sharesmb property',
  });
  throw new ToolError('zfs share of a shared file system is not part of this stand-in\n', 255);
}

export function unshare(host: Host, call: Getopt): void {
  if (has(call, 'a')) return;
  const [name = ''] = operands(call, 'missing filesystem argument');
  requireShareable(host, name, { verb: 'unshare', hint: 'use exports(5) or smb.conf(5) to unshare this filesystem' });
  refuse(`cannot unshare '${name}': not currently shared`);
}

function requireShareable(host: Host, name: string, at: { verb: string; hint: string }): void {
  const state = readPools(host);
  const dataset = findDataset(state, name) ?? refuse(openText(name, 'dataset'));
  if (dataset.type === 'volume') refuse(`cannot open '${name}': operation not applicable to datasets of this type`);
  const { sharenfs = 'off', sharesmb = 'off' } = dataset.properties;
  if (sharenfs === 'off' && sharesmb === 'off') refuse(`cannot ${at.verb} '${name}': legacy share\n${at.hint}`);
  if (mountpointOf(state, dataset) === 'none') refuse(`cannot ${at.verb} '${name}': no mountpoint set`);
}
