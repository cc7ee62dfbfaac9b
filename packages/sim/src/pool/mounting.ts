/**
 * Mounting file systems: their files move between the mountpoint and a place aside, so a path shows what the real one
 * would show. What a directory held before is covered by a mount and comes back when it goes (overlay=on).
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Host } from '../host/host.ts';
import { isBusy } from './files.ts';
import { openText } from './names.ts';
import { refuse } from './refuse.ts';
import {
  type DatasetRecord,
  findDataset,
  mountpointOf,
  type PoolState,
  parentOf,
  poolOf,
  subtree,
  writePools,
} from './state.ts';

/** Does it belong at its mountpoint without anybody asking (at creation, after a rename)? */
export function mountsItself(state: PoolState, dataset: DatasetRecord): boolean {
  return (
    dataset.type === 'filesystem' &&
    mountpointOf(state, dataset)?.startsWith('/') === true &&
    (dataset.properties['canmount'] ?? 'on') === 'on' &&
    isKeyLoaded(state, dataset)
  );
}

/** True for what is not encrypted at all. */
export function isKeyLoaded(state: PoolState, dataset: DatasetRecord): boolean {
  return encryptionRoot(state, dataset)?.key?.isLoaded ?? true;
}

export function encryptionRoot(state: PoolState, dataset: DatasetRecord): DatasetRecord | undefined {
  for (let name: string | undefined = dataset.name; name !== undefined; name = parentOf(name)) {
    const found = findDataset(state, name);
    if (found?.key !== undefined) return found;
  }
  return undefined;
}

/**
 * Shows the files at the mountpoint. The caller has checked that it may be. Where they are going is written before they
 * move: a record that still names another place, or another pool, would never find them after a kill.
 */
export function attach(host: Host, state: PoolState, dataset: DatasetRecord): void {
  const mountpoint = mountpointOf(state, dataset) ?? '';
  const target = host.path(mountpoint);
  const aside = host.simPath('unmounted', dataset.guid);
  mkdirSync(dirname(target), { recursive: true });
  const hasFiles = existsSync(aside);
  if (hasFiles) {
    dataset.isAside = true;
    writePools(host, state);
  }
  if (existsSync(target)) cover(host, target, dataset);
  if (hasFiles) renameSync(aside, target);
  else mkdirSync(target, { mode: 0o755 });
  dataset.mountedAt = mountpoint;
  delete dataset.isAside;
  state.mountSerial = (state.mountSerial ?? 0) + 1;
  dataset.mountSerial = state.mountSerial;
}

function cover(host: Host, target: string, dataset: DatasetRecord): void {
  if (readdirSync(target).length === 0) {
    rmdirSync(target);
    return;
  }
  mkdirSync(host.simPath('covered'), { recursive: true });
  renameSync(target, host.simPath('covered', dataset.guid));
}

/** Takes the files away from the mountpoint; `keepDirectory`: an empty one stays, as after `zfs unmount`. */
export function detach(host: Host, dataset: DatasetRecord, keepDirectory: boolean): void {
  if (dataset.mountedAt === undefined) return;
  const target = host.path(dataset.mountedAt);
  const covered = host.simPath('covered', dataset.guid);
  mkdirSync(host.simPath('unmounted'), { recursive: true });
  if (existsSync(target)) renameSync(target, host.simPath('unmounted', dataset.guid));
  if (existsSync(covered)) renameSync(covered, target);
  else if (keepDirectory) mkdirSync(target);
  delete dataset.mountedAt;
  dataset.isAside = true;
}

/** The mounted file systems of a subtree, as their mounts lie over one another: parents first. */
export function mountedBelow(state: PoolState, name: string): DatasetRecord[] {
  return subtree(state, name).filter((dataset) => dataset.mountedAt !== undefined);
}

/** Refuses when a process works in one of them. */
export function requireIdle(host: Host, datasets: readonly DatasetRecord[]): void {
  for (const { mountedAt } of [...datasets].reverse())
    if (mountedAt !== undefined && isBusy(host, mountedAt))
      refuse(`cannot unmount '${mountedAt}': pool or dataset is busy`);
}

/** Unmounts a subtree, does the work, and mounts again what was mounted, wherever it belongs now. */
export function remounting(host: Host, state: PoolState, at: { name: string; work: () => void }): void {
  const mounted = mountedBelow(state, at.name);
  requireIdle(host, mounted);
  for (const dataset of [...mounted].reverse()) detach(host, dataset, false);
  at.work();
  for (const dataset of mounted) if (mountsItself(state, dataset)) attach(host, state, dataset);
}

/** `permit` is asked last and throws what the caller may not do. */
export function mountDataset(host: Host, state: PoolState, at: { name: string; permit?: () => void }): void {
  const { name } = at;
  const dataset = findDataset(state, name) ?? refuse(openText(name, 'dataset'));
  if (dataset.type === 'volume') refuse(`cannot open '${name}': operation not applicable to datasets of this type`);
  const mountpoint = mountpointOf(state, dataset);
  const failed = (reason: string): never => refuse(`cannot mount '${name}': ${reason}`);
  if (mountpoint === 'none') failed('no mountpoint set');
  if (mountpoint === 'legacy') failed('legacy mountpoint\nuse mount(8) to mount this filesystem');
  if (dataset.properties['canmount'] === 'off') failed("'canmount' property is set to 'off'");
  if (!isKeyLoaded(state, dataset)) failed('encryption key not loaded');
  if (dataset.partial !== undefined)
    failed('Contains partially-completed state from "zfs receive -s", which can be resumed with "zfs send -t"');
  if (dataset.mountedAt !== undefined) failed('filesystem already mounted');
  at.permit?.();
  attach(host, state, dataset);
}

/** `mount -a`: everything that mounts itself and is not mounted. */
export function mountAll(host: Host, state: PoolState, below: string | undefined): void {
  const names = below === undefined ? state.pools.map((pool) => pool.name) : [below];
  for (const dataset of names.flatMap((name) => subtree(state, name)))
    if (dataset.mountedAt === undefined && mountsItself(state, dataset)) attach(host, state, dataset);
}

/** The file system and what is mounted below it; `permit` is asked last. */
export function unmountDataset(host: Host, state: PoolState, at: { name: string; permit?: () => void }): void {
  const argument = at.name;
  const dataset = argument.startsWith('/') ? mountedOn(host, state, argument) : findDataset(state, argument);
  if (dataset === undefined) refuse(openText(argument, 'dataset'));
  const { name } = dataset;
  if (dataset.type === 'volume') refuse(`cannot open '${argument}': operation not applicable to datasets of this type`);
  const mountpoint = mountpointOf(state, dataset);
  if (mountpoint === 'legacy')
    refuse(`cannot unmount '${name}': legacy mountpoint\nuse umount(8) to unmount this filesystem`);
  if (dataset.mountedAt === undefined) refuse(`cannot unmount '${argument}': not currently mounted`);
  at.permit?.();
  const all = mountedBelow(state, name);
  requireIdle(host, all);
  for (const one of [...all].reverse()) detach(host, one, true);
}

/** A path must be the very place of a mount, and exist (cmd/zfs/zfs_main.c unshare_unmount_path). */
function mountedOn(host: Host, state: PoolState, path: string): DatasetRecord {
  const dataset = state.datasets.find(({ mountedAt }) => mountedAt === path);
  if (dataset !== undefined) return dataset;
  if (!existsSync(host.path(path)))
    refuse(
      `cannot open '${path}': No such file or directory\nwarning: ${path} not in/proc/self/mounts\n${path}: No such file or directory`,
    );
  const isInside = state.datasets.some(({ mountedAt }) => mountedAt !== undefined && path.startsWith(`${mountedAt}/`));
  return refuse(`cannot unmount '${path}': ${isInside ? 'not a mountpoint' : 'not a ZFS filesystem'}`);
}

export function unmountPool(host: Host, state: PoolState, name: string): void {
  const mounted = mountedBelow(state, poolOf(name));
  requireIdle(host, mounted);
  for (const dataset of [...mounted].reverse()) detach(host, dataset, false);
}
