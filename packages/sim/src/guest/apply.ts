/** Pending values applied: at once to a running container where upstream can, or all of them to a stopped one. */

import { switchesOf } from '../call/switches.ts';
import { errorText, ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import type { FieldErrors } from '../schema/property.ts';
import type { PropertyValues } from '../schema/property-split.ts';
import { findVolume, freeVolume, volumeBackend } from '../storage/storages.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { createDisks, deleteOwnedVolume } from './disks.ts';
import { addUnused, isVolumeInUse, newVolume, parseMountPoint, printMountPoint } from './mount-point.ts';
import { networkWrites, requireBridge, storedNetwork } from './network.ts';
import { cleanPending, dropPendingDelete, pendingDeletes, pendingKeys } from './pending.ts';

export interface ApplyWork {
  readonly host: Host;
  readonly vmid: number;
  readonly log: (text: string) => void;
  readonly warn: (text: string) => void;
  /** Only these keys; undefined: all. */
  readonly touched?: ReadonlySet<string>;
  /** The config is written so many times on the way. */
  readonly onWrites?: (count: number) => void;
}

/** Config only, no effect on the running system (pve-container src/PVE/LXC/Config.pm, LXC_FASTPLUG_OPTIONS). */
const CONFIG_ONLY = new Set([
  'description',
  'onboot',
  'startup',
  'protection',
  'hostname',
  'hookscript',
  'cores',
  'tags',
  'lock',
]);
/** Deletion works on a running container; netN only with one digit, as upstream's pattern has it. */
const LIVE_DELETE = /^(?:swap|cpulimit|cpuunits|unused\d+|net\d)$/;
const LIVE_CHANGE = /^(?:cpulimit|cpuunits|memory|swap|net\d+)$/;

export async function hotplug(config: GuestConfig, work: ApplyWork): Promise<FieldErrors> {
  const errors: FieldErrors = {};
  const selected = (key: string): boolean => work.touched?.has(key) ?? true;
  for (const key of pendingKeys(config))
    if (selected(key) && CONFIG_ONLY.has(key)) take(config, key, config.pending.values.get(key) ?? '');
  for (const key of [...pendingDeletes(config)].sort()) {
    if (!selected(key) || !(CONFIG_ONLY.has(key) || LIVE_DELETE.test(key))) continue;
    await attempt(errors, { key, text: `unable to hotplug ${key}: ` }, async () => {
      if (key.startsWith('unused')) await deleteUnused(config, work, key);
      if (key.startsWith('net')) work.log(`delete ips from ${key}\n`);
      config.values.delete(key);
      dropPendingDelete(config, key);
    });
  }
  for (const key of pendingKeys(config)) {
    if (!selected(key)) continue;
    const value = config.pending.values.get(key) ?? '';
    const isNew = !config.values.has(key);
    await attempt(errors, { key, text: `unable to hotplug ${key}: ` }, async () => {
      if (/^net\d+$/.test(key)) {
        const stored = storedNetwork(work.host, value);
        requireBridge(work.host, stored);
        work.onWrites?.(networkWrites(config.values.get(key), stored));
        take(config, key, stored);
      } else if (LIVE_CHANGE.test(key)) take(config, key, value);
      else if (/^dev\d+$/.test(key) && isNew) {
        requireApparmor(work.host);
        take(config, key, value);
      } else if (/^mp\d+$/.test(key) && isNew) take(config, key, await plugMountPoint(config, work, key));
    });
  }
  return errors;
}

export async function applyNow(config: GuestConfig, work: ApplyWork): Promise<FieldErrors> {
  const errors: FieldErrors = {};
  const selected = (key: string): boolean => work.touched?.has(key) ?? true;
  const failed = (key: string): { key: string; text: string; warn: (text: string) => void } => ({
    key,
    text: `unable to apply pending change ${key} : `,
    warn: work.warn,
  });
  for (const key of [...pendingDeletes(config)].sort()) {
    if (!selected(key)) continue;
    await attempt(errors, failed(key), async () => {
      if (/^mp\d+$/.test(key)) retire(config, key);
      else if (key.startsWith('unused')) await deleteUnused(config, work, key);
      config.values.delete(key);
      dropPendingDelete(config, key);
    });
  }
  cleanPending(config);
  for (const key of pendingKeys(config)) {
    if (!selected(key)) continue;
    await attempt(errors, failed(key), async () => {
      const value = config.pending.values.get(key) ?? '';
      if (/^mp\d+$/.test(key)) take(config, key, await settleMountPoint(config, work, key));
      else take(config, key, /^net\d+$/.test(key) ? storedNetwork(work.host, value) : value);
    });
  }
  return errors;
}

function take(config: GuestConfig, key: string, value: string): void {
  config.values.set(key, value);
  config.pending.values.delete(key);
}

async function attempt(
  errors: FieldErrors,
  at: { key: string; text: string; warn?: (text: string) => void },
  step: () => Promise<void>,
): Promise<void> {
  try {
    await step();
  } catch (err) {
    errors[at.key] = `${at.text}${errorText(err)}\n`;
    at.warn?.(errors[at.key] ?? '');
  }
}

async function deleteUnused(config: GuestConfig, work: ApplyWork, key: string): Promise<void> {
  const volid = config.values.get(key) ?? '';
  if (!isVolumeInUse(config, volid)) await deleteOwnedVolume(work, volid);
}

/**
 * The volume of a mount point that goes stays as `unusedN`, also when a snapshot still holds it: upstream looks for the
 * whole value among the volume ids, which never finds it. The writer drops what the config itself still uses.
 */
function retire(config: GuestConfig, key: string): void {
  const point = parseMountPoint(key, config.values.get(key) ?? '');
  if (point.kind === 'volume') addUnused(config, point.volume);
}

/** A new volume is made, an existing one measured; the replaced one becomes unused. Returns the stored form. */
async function settleMountPoint(config: GuestConfig, work: ApplyWork, key: string): Promise<string> {
  const text = config.pending.values.get(key) ?? '';
  const point = parseMountPoint(key, text);
  const into = new Map<string, string>();
  if (point.kind === 'volume' && newVolume(point.volume) !== undefined) {
    await createDisks(work, new Map([[key, text]]), { owner: config, into });
  } else {
    const values = { ...point.values };
    if (point.kind === 'volume') await measure(work, point.volume, values);
    into.set(key, printMountPoint(key, values));
  }
  if (config.values.has(key)) retire(config, key);
  return into.get(key) ?? text;
}

/** A volume made for it goes again where it cannot be mounted into the running guest. */
async function plugMountPoint(config: GuestConfig, work: ApplyWork, key: string): Promise<string> {
  const isMade = newVolume(parseMountPoint(key, config.pending.values.get(key) ?? '').volume) !== undefined;
  const stored = await settleMountPoint(config, work, key);
  try {
    requireApparmor(work.host);
  } catch (err) {
    if (isMade) await freeVolume(work.host, parseMountPoint(key, stored).volume);
    throw err;
  }
  return stored;
}

const APPARMOR_FAILURE = 'failed to change apparmor profile: Invalid argument';

function requireApparmor(host: Host): void {
  if (switchesOf(host).noApparmor === true) throw new ToolError(`${APPARMOR_FAILURE}\n`);
}

/** Exit status of a change that could not be made to a running guest: the number its last failed system call left. */
export function strayStatus(errors: FieldErrors): number {
  const failed = Object.entries(errors).filter(([, text]) => text.includes(APPARMOR_FAILURE));
  const [key] = failed.at(-1) ?? [];
  return key === undefined ? 2 : key.startsWith('mp') ? 39 : 1;
}

/** A volume that cannot be measured keeps the size that was given. */
async function measure(work: ApplyWork, volid: string, values: PropertyValues): Promise<void> {
  try {
    await takeSize(work, volid, values);
  } catch (err) {
    work.warn(`Could not rescan volume size - ${errorText(err)}\n\n`);
  }
}

async function takeSize(work: ApplyWork, volid: string, values: PropertyValues): Promise<void> {
  const { storage, volname } = findVolume(work.host, volid);
  const at = { host: work.host, storage, volname };
  const backend = await volumeBackend(storage);
  if (await backend.exists(at)) values['size'] = String(await backend.sizeBytes(at));
  else if (backend.missingText !== undefined) throw new ToolError(backend.missingText(at));
  else {
    work.warn(`failed to stat '${backend.inHostPath(at)}'\n`);
    delete values['size'];
  }
}
