/** `qm set` (qemu-server src/PVE/API2/Qemu.pm update_vm_api): every option goes to the pending section first, then a stopped VM takes them all. */

import { errorText, ToolError } from '../call/tool.ts';
import { checkHookscript, uniqueTags } from '../guest/change.ts';
import { clampCpuUnits } from '../guest/syntax.ts';
import { atPoint, flag, isRunning, text, type Verb } from '../pct/context.ts';
import { parameterError } from '../schema/command.ts';
import { splitList } from '../schema/format.ts';
import { propertyOf, toolSchema } from '../schema/schema-data.ts';
import { findVolume, freeVolume } from '../storage/storages.ts';
import { isVolumeId } from '../storage/volume-names.ts';
import { isDriveKey, type VmConfig } from '../text/vm-config.ts';
import { checkDrives, driveOf, isCdrom, resolveCdrom, settleDrive } from './drive.ts';
import { isNetKey, withAddress } from './net.ts';
import { loadVm, lockedVm, requireUnlocked, requireUnprotected, storeVm, tell } from './vm.ts';

/** Not told in the line of the call. */
const UNSAID = new Set(['vmid', 'digest', 'background_delay', 'skip_cloud_init', 'import-working-storage']);
const NOT_VALUES = new Set([...UNSAID, 'delete', 'revert', 'skiplock', 'force']);
/** A running VM takes these at once; the rest waits for its next start. */
const LIVE = /^(?:name|description|tags|onboot|protection|startup|hotplug|lock|hookscript)$/;

interface Asked {
  readonly values: Map<string, string>;
  readonly remove: readonly string[];
  readonly revert: readonly string[];
}

export async function set(verb: Verb): Promise<number> {
  const words = Object.keys(verb.call.params)
    .filter((key) => !UNSAID.has(key))
    .sort()
    .map((key) => `-${key} ${key === 'cipassword' ? '<hidden>' : (text(verb, key) ?? '')}`);
  const asked = await checkedCall(verb);
  checkedConfig(verb);
  await lockedVm(verb, undefined, async () => {
    const config = checkedConfig(verb);
    const line = `update VM ${verb.vmid}: ${words.join(' ')}`;
    tell(verb, line);
    verb.io.out(`${line}\n`);
    const steps = await change(verb, config, asked);
    await atPoint(verb, 'before-config');
    if (steps > 0) storeVm(verb.host, { vmid: verb.vmid, steps }, config);
  });
  return 0;
}

/** The same change under another name. */
export function unlink(verb: Verb): Promise<number> {
  const { idlist = '', ...params } = verb.call.params;
  return set({ ...verb, call: { ...verb.call, params: { ...params, delete: idlist } } });
}

async function checkedCall(verb: Verb): Promise<Asked> {
  const values = new Map(
    Object.entries(verb.call.params)
      .filter(([key]) => !NOT_VALUES.has(key))
      .map(([key, value]) => [key, key === 'cpuunits' ? clampCpuUnits(verb.host, String(value)) : String(value)]),
  );
  const remove = splitList(text(verb, 'delete') ?? '').map((key) => (key === 'cdrom' ? 'ide2' : key));
  const revert = splitList(text(verb, 'revert') ?? '');
  if (values.size + remove.length + revert.length === 0) throw new ToolError('no options specified\n');
  resolveCdrom(values);
  checkLists(verb, { values, remove, revert });
  checkDrives(verb, values);
  for (const [key, value] of values) {
    if (isNetKey(key)) values.set(key, withAddress(verb, key, value));
    else if (key === 'hookscript') await requireHookscript(verb, value);
  }
  return { values, remove, revert };
}

async function requireHookscript(verb: Verb, value: string): Promise<void> {
  try {
    await checkHookscript(verb.host, value);
  } catch (err) {
    throw parameterError(verb.call, { hookscript: `${errorText(err)}\n` });
  }
}

function checkLists(verb: Verb, { values, remove, revert }: Asked): void {
  const refuse = (field: string, reason: string): never => {
    throw parameterError(verb.call, { [field]: reason });
  };
  for (const key of revert) {
    if (!isOption(key)) refuse('revert', `unknown option '${key}'`);
    if (values.has(key)) refuse('delete', `you can't use '-${key}' and -revert ${key}' at the same time`);
  }
  for (const key of remove) {
    if (values.has(key)) refuse('delete', `you can't use '-${key}' and -delete ${key}' at the same time`);
    if (revert.includes(key)) refuse('revert', `you can't use '-delete ${key}' and -revert ${key}' at the same time`);
    if (!isOption(key)) refuse('delete', `unknown option '${key}'`);
  }
}

function isOption(key: string): boolean {
  if (NOT_VALUES.has(key)) return false;
  return propertyOf(toolSchema('qm')['set']?.params ?? {}, key) !== undefined;
}

function checkedConfig(verb: Verb): VmConfig {
  const config = loadVm(verb.host, verb.vmid);
  const digest = text(verb, 'digest') ?? '';
  if (digest !== '' && digest !== config.digest)
    throw new ToolError('checksum mismatch (file change by other user?)\n');
  if (!flag(verb, 'skiplock')) requireUnlocked(config);
  return config;
}

/** How often upstream writes the file: once for every option, once for what then turns out to be no change, once for what is taken over. */
async function change(verb: Verb, config: VmConfig, asked: Asked): Promise<number> {
  const { values } = asked;
  for (const key of asked.revert) {
    const current = config.values.get(key);
    if (current !== undefined) values.set(key, current);
  }
  const pendingOnly = asked.revert.filter((key) => !config.values.has(key) && config.pending.has(key));
  let steps = 0;
  for (const key of [...asked.remove, ...pendingOnly]) steps += await queueRemoval(verb, config, key);
  for (const [key, value] of values) {
    if (config.pending.get(key) === value) continue;
    config.pending.set(key, await pendingValue(verb, config, { key, value }));
    setDeletes(
      config,
      deletesOf(config).filter((name) => name !== key),
    );
    steps += 1;
  }
  if (cleanUp(config)) steps += 1;
  if (config.pending.size === 0) return steps;
  await takeOver(verb, config);
  return steps + 1;
}

async function pendingValue(verb: Verb, config: VmConfig, at: { key: string; value: string }): Promise<string> {
  const { key, value } = at;
  if (key === 'tags') return uniqueTags(verb.host, value);
  if (key === 'boot') checkBootOrder(config, value);
  return isDriveKey(key) ? (await settleDrive(verb, verb.io.out, driveOf(key, value))).value : value;
}

function checkBootOrder({ values, pending }: VmConfig, value: string): void {
  const order = /(?:^|,)order=([^,]*)/.exec(value)?.[1] ?? '';
  for (const device of splitList(order.replaceAll(';', ' ')))
    if (!values.has(device) && !pending.has(device))
      throw new ToolError(`invalid bootorder: device '${device}' does not exist'\n`);
}

/** Writes made: none where nothing is deleted. */
async function queueRemoval(verb: Verb, config: VmConfig, key: string): Promise<number> {
  const value = config.values.get(key) ?? config.pending.get(key);
  if (value === undefined) {
    verb.io.err(`cannot delete '${key}' - not set in current configuration!\n`);
    return 0;
  }
  const isPending = config.pending.delete(key);
  dropFromBoot(config, key);
  if (key.startsWith('unused')) return removeUnused(verb, config, { key, value });
  if (key === 'tags') {
    config.values.delete(key);
    return 1;
  }
  if (isDriveKey(key)) {
    requireUnprotected(config, `can't remove drive '${key}'`);
    if (isPending) keepUnused(verb, config, value);
  }
  setDeletes(config, [...deletesOf(config), flag(verb, 'force') ? `!${key}` : key]);
  return 1;
}

function dropFromBoot(config: VmConfig, key: string): void {
  const order = /(?:^|,)order=([^,]*)/.exec(config.pending.get('boot') ?? config.values.get('boot') ?? '')?.[1];
  const devices = (order ?? '').split(';');
  if (!devices.includes(key)) return;
  const left = devices.filter((device) => device !== key);
  config.pending.set('boot', left.length === 0 ? '' : `order=${left.join(';')}`);
}

async function removeUnused(verb: Verb, config: VmConfig, at: { key: string; value: string }): Promise<number> {
  requireUnprotected(config, `can't remove unused disk '${at.value}'`);
  if (isOwn(verb, at.value)) await freeVolume(verb.host, at.value);
  config.values.delete(at.key);
  return 1;
}

function isOwn(verb: Verb, volume: string): boolean {
  return isVolumeId(volume) && findVolume(verb.host, volume).parsed.vmid === verb.vmid;
}

/** A volume of this VM that no drive has any more; what is no volume of a storage is forgotten. */
function keepUnused(verb: Verb, { values }: VmConfig, value: string): void {
  const drive = driveOf('', value);
  if (isCdrom(drive) || !isOwn(verb, drive.volume) || [...values.values()].includes(drive.volume)) return;
  let number = 0;
  while (values.has(`unused${number}`)) number += 1;
  values.set(`unused${number}`, drive.volume);
}

function deletesOf(config: VmConfig): string[] {
  return splitList(config.pending.get('delete') ?? '');
}

function setDeletes(config: VmConfig, keys: readonly string[]): void {
  if (keys.length === 0) config.pending.delete('delete');
  else config.pending.set('delete', [...new Set(keys)].sort().join(','));
}

/** What is set to what it is, or deleted while it is not there, waits for nothing. */
function cleanUp(config: VmConfig): boolean {
  const same = [...config.pending].filter(([key, value]) => key !== 'delete' && config.values.get(key) === value);
  for (const [key] of same) config.pending.delete(key);
  const deletes = deletesOf(config);
  const left = deletes.filter((key) => config.values.has(key.replace(/^!/, '')));
  setDeletes(config, left);
  return same.length > 0 || left.length < deletes.length;
}

async function takeOver(verb: Verb, config: VmConfig): Promise<void> {
  const isLater = (key: string): boolean => isRunning(verb) && !LIVE.test(key);
  const waiting: string[] = [];
  for (const name of deletesOf(config)) {
    const key = name.replace(/^!/, '');
    if (isLater(key)) {
      waiting.push(name);
      continue;
    }
    const value = config.values.get(key) ?? '';
    config.values.delete(key);
    if (!isDriveKey(key)) continue;
    if (name === key) keepUnused(verb, config, value);
    else if (isOwn(verb, driveOf(key, value).volume)) await freeVolume(verb.host, driveOf(key, value).volume);
  }
  setDeletes(config, waiting);
  for (const [key, value] of [...config.pending]) {
    if (key === 'delete' || isLater(key)) continue;
    const before = config.values.get(key);
    config.values.set(key, value);
    config.pending.delete(key);
    if (before !== undefined && isDriveKey(key)) keepUnused(verb, config, before);
  }
}
