/**
 * What a set of new values, deletions and reverts does to a container's config (pve-container src/PVE/LXC/Config.pm
 * update_pct_config): everything goes to the pending section first; what can be applied now leaves it again.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { readPveFile } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';
import { splitList } from '../schema/format.ts';
import type { FieldErrors } from '../schema/property.ts';
import { parsePropertyString } from '../schema/value.ts';
import { findVolume, holdsContainers, storageOf, volumePath } from '../storage/storages.ts';
import { parseVolumeId } from '../storage/volume-names.ts';
import type { GuestConfig, GuestSection } from '../text/guest-config.ts';
import { applyNow, hotplug } from './apply.ts';
import { requireUnprotected } from './config-store.ts';
import { parseMountPoint } from './mount-point.ts';
import { checkNetwork } from './network.ts';
import { addPendingDelete, cleanPending, dropPendingDelete } from './pending.ts';

export interface Change {
  readonly host: Host;
  readonly vmid: number;
  readonly values: ReadonlyMap<string, string>;
  readonly remove: readonly string[];
  readonly revert: readonly string[];
  readonly isRunning: boolean;
  /** Task output or stdout. */
  readonly log: (text: string) => void;
  /** stderr. */
  readonly warn: (text: string) => void;
  /** The config is written so many times on the way. */
  readonly onWrites?: (count: number) => void;
}

/** Changes `config` in place; the result names options that could not be applied, and then nothing may be written. */
export async function applyChange(config: GuestConfig, change: Change): Promise<FieldErrors> {
  for (const key of change.revert) {
    config.pending.values.delete(key);
    dropPendingDelete(config, key);
  }
  const touched = new Set<string>();
  for (const key of change.remove) queueRemoval(config, { key, change, touched });
  for (const key of [...change.values.keys()].sort()) {
    touched.add(key);
    config.pending.values.set(key, await checkedValue(config, change, key));
    dropPendingDelete(config, key);
  }
  cleanPending(config);
  const { host, vmid, log, warn, onWrites } = change;
  const work = { host, vmid, log, warn, touched, ...(onWrites === undefined ? {} : { onWrites }) };
  return change.isRunning ? hotplug(config, work) : applyNow(config, work);
}

function queueRemoval(config: GuestConfig, at: { key: string; change: Change; touched: Set<string> }): void {
  const { key, change, touched } = at;
  if (!config.values.has(key) && !config.pending.values.has(key)) {
    change.warn(`cannot delete '${key}' - not set in current configuration!\n`);
    return;
  }
  touched.add(key);
  if (key === 'memory' || key === 'rootfs' || key === 'ostype')
    throw new ToolError(`unable to delete required option '${key}'\n`);
  if (/^(?:unused|mp)\d+$/.test(key)) requireUnprotected(config, `can't remove CT ${change.vmid} drive '${key}'`);
  if (key === 'unprivileged') throw new ToolError(`unable to delete read-only option: '${key}'\n`);
  addPendingDelete(config, key);
}

/** The value as it will be stored, or an exception with upstream's text. */
async function checkedValue(config: GuestConfig, change: Change, key: string): Promise<string> {
  const value = change.values.get(key) ?? '';
  if (key === 'rootfs' || /^mp\d+$/.test(key)) {
    requireUnprotected(config, `can't update CT ${change.vmid} drive '${key}'`);
    checkVolumeContent(change.host, key, value);
  } else if (key === 'hookscript') await checkHookscript(change.host, value);
  else if (key === 'nameserver' || key === 'searchdomain') return splitList(value).join(' ');
  else if (key === 'unprivileged') throw new ToolError(`unable to modify read-only option: '${key}'\n`);
  else if (key === 'tags') return uniqueTags(change.host, value);
  else if (/^net\d+$/.test(key)) checkNetwork(change.host, key, value);
  else if (/^dev\d+$/.test(key)) requireDevice(change.host, value);
  return value;
}

function checkVolumeContent(host: Host, key: string, value: string): void {
  const point = parseMountPoint(key, value);
  if (point.kind !== 'volume') return;
  const { storage } = parseVolumeId(point.volume);
  if (!holdsContainers(storageOf(host, storage)))
    throw new ToolError(`storage '${storage}' does not allow content type 'rootdir' (Container)\n`);
}

/** In-host path of a hookscript that is there and executable. */
export async function checkHookscript(host: Host, volid: string): Promise<string> {
  const { parsed } = findVolume(host, volid);
  const path = await volumePath(host, volid);
  if (parsed.kind !== 'snippets') throw new ToolError(`'${volid}' is not in the snippets directory\n`);
  if (!existsSync(host.path(path))) throw new ToolError(`script '${volid}' does not exist\n`, 2);
  try {
    accessSync(host.path(path), constants.X_OK);
  } catch {
    throw new ToolError(`script '${volid}' is not executable\n`, 25);
  }
  return path;
}

/** A device node must be there now and at every start. Fixture devices of a host without mknod are plain files. */
export function requireDevice(host: Host, value: string): void {
  const path = parsePropertyString('lxc.dev', value)['path'];
  if (path === undefined) throw new ToolError('Path has to be defined\n');
  const stat = statSync(deviceFile(host, path), { throwIfNoEntry: false });
  if (stat === undefined) throw new ToolError(`Device ${path} does not exist\n`, 2);
  if (stat.isDirectory()) throw new ToolError(`${path} is not a device\n`, 25);
}

/** The host's own node when it has one, else this machine's (`/dev/null`, `/dev/fuse`). */
function deviceFile(host: Host, path: string): string {
  return existsSync(host.path(path)) ? host.path(path) : path;
}

/** Lower-cased, sorted and without doubles, unless the datacenter's tag-style says otherwise (pve-guest-common GuestHelpers.pm). */
export function uniqueTags(host: Host, text: string): string {
  const style = /^tag-style:\s*(.*)$/m.exec(readPveFile(host, 'datacenter.cfg') ?? '')?.[1] ?? '';
  const isCaseSensitive = /case-sensitive=(?:1|on|yes|true)/.test(style);
  const fold = (tag: string): string => (isCaseSensitive ? tag : tag.toLowerCase());
  const tags = splitList(text);
  if (!/ordering=config/.test(style)) tags.sort((a, b) => (fold(a) < fold(b) ? -1 : fold(a) > fold(b) ? 1 : 0));
  return [...new Set(tags.map(fold))].join(';');
}

export function hasTemplateMark(section: GuestSection): boolean {
  return section.values.get('template') === '1';
}
