/** `pct create` and `pct restore` (pve-container src/PVE/API2/LXC.pm create_vm). */

import { errorText, ToolError } from '../call/tool.ts';
import { findGuest, requireQuorum, syncCluster } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { applyChange } from '../guest/change.ts';
import { loadConfig, removeConfig, storeConfig, storeNewConfig } from '../guest/config-store.ts';
import { createDisks, destroyDisks, destroyVolumes } from '../guest/disks.ts';
import { addResource } from '../guest/ha.ts';
import { isVolumeKey, parseMountPoint } from '../guest/mount-point.ts';
import { applyOciSettings } from '../guest/oci-settings.ts';
import { setUpOs } from '../guest/os-setup.ts';
import { addToPool, requirePool } from '../guest/pools.ts';
import { clampCpuUnits } from '../guest/syntax.ts';
import { parameterError } from '../schema/command.ts';
import { enabledStorage, findVolume, holdsContainers, volumeBackend } from '../storage/storages.ts';
import { isVolumeId, parseVolumeId } from '../storage/volume-names.ts';
import { emptyConfig, type GuestConfig } from '../text/guest-config.ts';
import { mountAll, type Place, stopIfTold, takeOs, templatePath, unpacking, type Wanted } from './archive.ts';
import { atPoint, exit, flag, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';
import { startWithin } from './power.ts';
import {
  type Backup,
  checkReplaced,
  isReplacing,
  lockReplaced,
  makeTemplate,
  recover,
  restoreFiles,
  unlockReplaced,
} from './restore.ts';
import { checkSshKeys, readSshKeys } from './ssh-keys.ts';

/** Parameters of the call that are not part of the config. */
const CALL_ONLY = new Set([
  'vmid',
  'ostemplate',
  'password',
  'storage',
  'force',
  'restore',
  'unique',
  'pool',
  'ignore-unpack-errors',
  'ssh-public-keys',
  'bwlimit',
  'start',
  'ha-managed',
  'unprivileged',
]);

export async function create(verb: Verb): Promise<number> {
  const sshKeys = readSshKeys(verb);
  requireQuorum(verb.host);
  syncCluster(verb.host);
  const isRestore = flag(verb, 'restore');
  if (isReplacing(verb)) checkReplaced(verb);
  else requireFree(verb, '');
  if (sshKeys !== undefined) checkSshKeys(sshKeys);
  requirePool(verb.host, text(verb, 'pool'));
  const wanted = await checked(verb);
  await reserve(verb);
  const end = await taskOf(verb, isRestore ? 'vzrestore' : 'vzcreate', async (task) => {
    await lockedInTask(verb, task, () => build(verb, task, wanted));
    addToPool(verb.host, text(verb, 'pool'), verb.vmid);
    if (flag(verb, 'start')) await startWithin(verb, task);
    if (!flag(verb, 'ha-managed')) return;
    task.log('Add as HA resource\n');
    addResource(verb.host, verb.vmid, flag(verb, 'start') ? 'started' : 'stopped');
  });
  return exit(end);
}

function requireFree(verb: Verb, prefix: string): void {
  const taken = findGuest(verb.host, verb.vmid);
  if (taken === undefined) return;
  const kind = taken.type === 'qemu' ? 'VM' : 'CT';
  // The status is the error number of the last file test: the own config is there, another node's is not.
  const isElsewhere = prefix === '' && (taken.node !== verb.host.name || taken.type !== 'lxc');
  throw new ToolError(`${prefix}${kind} ${verb.vmid} already exists on node '${taken.node}'\n`, isElsewhere ? 2 : 255);
}

async function checked(verb: Verb): Promise<Wanted> {
  const archive = text(verb, 'ostemplate') ?? '';
  const storage = text(verb, 'storage') ?? 'local';
  verb.checkRights?.({
    config: undefined,
    values: new Map(Object.entries(verb.call.params).map(([key, value]) => [key, String(value)])),
    remove: [],
    isUnprivileged: isUnprivileged(verb),
  });
  checkArchive(verb, archive);
  const { disks, values } = sortParameters(verb, storage);
  if (disks.size > 0 && !disks.has('rootfs'))
    throw new ToolError("mount points configured, but 'rootfs' not set - aborting\n");
  for (const key of [...disks.keys()].sort(rootfsFirst)) await checkDisk(verb, key, disks.get(key) ?? '');
  if (disks.size === 0) await requireContainers(verb, storage);
  const config = emptyConfig();
  const errors = await applyChange(config, {
    host: verb.host,
    vmid: verb.vmid,
    values,
    remove: [],
    revert: [],
    isRunning: false,
    log: verb.io.out,
    warn: verb.io.err,
  });
  if (Object.keys(errors).length > 0) throw parameterError(verb.call, errors);
  if (isUnprivileged(verb)) config.values.set('unprivileged', '1');
  return { config, disks, archive, storage };
}

/** The default of a new guest; a restored one is what its backup says. */
function isUnprivileged(verb: Verb): boolean {
  return text(verb, 'unprivileged') === '1' || (text(verb, 'unprivileged') === undefined && !flag(verb, 'restore'));
}

/** Volumes and plain options; a bare number for a volume means the default storage. */
function sortParameters(verb: Verb, storage: string): { disks: Map<string, string>; values: Map<string, string> } {
  const disks = new Map<string, string>();
  const values = new Map<string, string>();
  for (const [key, given] of Object.entries(verb.call.params)) {
    const value = String(given);
    if (CALL_ONLY.has(key)) continue;
    if (isVolumeKey(key)) disks.set(key, /^\d+(?:\.\d+)?$/.test(value) ? `${storage}:${value}` : value);
    else if (/^unused\d+$/.test(key)) verb.io.err(`ignoring '${key}', cannot create/restore with unused volume\n`);
    else values.set(key, key === 'cpuunits' ? clampCpuUnits(verb.host, value) : value);
  }
  return { disks, values };
}

function rootfsFirst(a: string, b: string): number {
  return a === 'rootfs' ? -1 : b === 'rootfs' ? 1 : Number(a.slice(2)) - Number(b.slice(2));
}

function checkArchive(verb: Verb, archive: string): void {
  const isRestore = flag(verb, 'restore');
  if (archive === '-') {
    if (!isRestore) throw new ToolError('pipe can only be used with restore tasks\n');
    if (text(verb, 'rootfs') === undefined) throw new ToolError('restore from pipe requires rootfs parameter\n');
    throw new ToolError('restoring from a pipe is not part of this stand-in\n');
  }
  if (!isVolumeId(archive)) return;
  const kind = isRestore ? 'backup' : 'vztmpl';
  if (findVolume(verb.host, archive).parsed.kind !== kind)
    throw new ToolError(`unable to use volume ${archive} - content type needs to be '${kind}'\n`);
}

async function checkDisk(verb: Verb, key: string, value: string): Promise<void> {
  const point = parseMountPoint(key, value);
  if (point.kind === 'volume') await requireContainers(verb, parseVolumeId(point.volume).storage, key !== 'rootfs');
}

/** The status of a storage that is missing is what the check of the one before it left (ENOTTY). */
async function requireContainers(verb: Verb, id: string, isLater = false): Promise<void> {
  if (isLater && !verb.host.storages().some((s) => s.id === id))
    throw new ToolError(`storage '${id}' does not exist\n`, 25);
  const storage = enabledStorage(verb.host, id);
  if (!holdsContainers(storage))
    throw parameterError(verb.call, { storage: `storage '${id}' does not support container directories` });
  await (await volumeBackend(storage)).activate?.(verb.host, storage);
}

function stubConfig(): GuestConfig {
  const stub = emptyConfig();
  stub.values.set('lock', 'create');
  return stub;
}

function failurePrefix(verb: Verb): string {
  return `unable to ${flag(verb, 'restore') ? 'restore' : 'create'} CT ${verb.vmid} - `;
}

/** The id is ours when a config with nothing but the lock stands there; the flock is held for that moment only. */
async function reserve(verb: Verb): Promise<void> {
  const { host, vmid } = verb;
  const prefix = failurePrefix(verb);
  const reserveStub = async (): Promise<void> => {
    if (!isReplacing(verb)) requireFree(verb, prefix);
    try {
      if (isReplacing(verb)) lockReplaced(verb);
      else storeNewConfig(host, vmid, stubConfig());
    } catch (err) {
      throw new ToolError(`${prefix}${errorText(err)}\n`);
    }
  };
  await atPoint(verb, 'before-lock');
  await locked(verb, reserveStub, 5000);
  await atPoint(verb, 'after-lock');
}

async function build(verb: Verb, task: Task, wanted: Wanted): Promise<void> {
  const { host, vmid } = verb;
  const work = { host, vmid, log: task.log };
  const old = loadConfig(host, vmid, task.log);
  const made: string[] = [];
  let isTouched = !isReplacing(verb);
  try {
    const backup = flag(verb, 'restore') ? await recover(verb, task, wanted) : undefined;
    if (wanted.disks.size === 0) wanted.disks.set('rootfs', `${wanted.storage}:4`);
    isTouched = true;
    await makeVolumes(verb, task, { wanted, made });
    await destroyVolumes(work, old);
    storeConfig(host, vmid, stubConfig()); // upstream writes here too, and the file still holds nothing but the lock
    stopIfTold(task);
    await atPoint(verb, 'after-volume');
    await fill(verb, task, { wanted, backup });
    setDefaults(vmid, wanted.config);
    for (const [key, value] of backup?.later ?? []) wanted.config.values.set(key, value);
    if (backup?.wasTemplate === true) await makeTemplate(verb, task, wanted.config);
    await atPoint(verb, 'before-config');
    stopIfTold(task);
    storeConfig(host, vmid, wanted.config);
  } catch (err) {
    await destroyDisks(work, made);
    if (isTouched) dropConfig(verb, task);
    else unlockReplaced(verb, old);
    throw new ToolError(`${failurePrefix(verb)}${errorText(err)}\n`);
  }
}

async function makeVolumes(verb: Verb, task: Task, at: { wanted: Wanted; made: string[] }): Promise<void> {
  const { config, disks } = at.wanted;
  const work = { host: verb.host, vmid: verb.vmid, log: task.log };
  at.made.push(...(await createDisks(work, disks, { owner: config, into: config.values })));
}

function setDefaults(vmid: number, { values }: GuestConfig): void {
  values.set('hostname', values.get('hostname') ?? `CT${vmid}`);
  values.set('memory', values.get('memory') ?? '512');
  values.set('swap', values.get('swap') ?? '512');
}

/** Upstream tries it twice, once for the guest and once for the id it had reserved; each failure is a line. */
function dropConfig({ host, vmid }: Verb, task: Task): void {
  for (let tries = 0; tries < 2; tries++) {
    try {
      removeConfig(host, vmid);
    } catch (problem) {
      task.log(`${errorText(problem)}\n`);
    }
  }
}

async function fill(verb: Verb, task: Task, from: { wanted: Wanted; backup: Backup | undefined }): Promise<void> {
  const { wanted, backup } = from;
  const [root, ...mounts] = await mountAll(verb, task, wanted.config);
  if (root === undefined) throw new ToolError("missing 'rootfs' configuration\n");
  const place = { config: wanted.config, archive: wanted.archive, root: root.source, mounts };
  if (backup !== undefined) return restoreFiles(verb, task, { ...place, backup });
  await fillFromTemplate(verb, task, place);
}

async function fillFromTemplate(verb: Verb, task: Task, place: Place): Promise<void> {
  const { host } = verb;
  const { config, root } = place;
  const archive = await templatePath(verb, task, place.archive);
  await atPoint(verb, 'listing');
  const { extract } = await import('../storage/rootfs.ts');
  const options = unpacking(verb, task, { owner: config, mounts: place.mounts });
  const extracted = await extract(host.path(archive), root, options);
  stopIfTold(task);
  if (extracted.oci !== undefined) {
    const knowsUser = compareVersions(host.identity.containerLevel, '6.1.0') >= 0;
    applyOciSettings(extracted.oci, { config, root, knowsUser, log: task.log });
  }
  for (const warning of extracted.warnings) task.warn(warning);
  const ostype = takeOs(verb, task, place);
  storeConfig(host, verb.vmid, withLock(config));
  setUpOs(root, ostype, task.log);
}

/** The config is written once before the guest's own set-up runs; the lock is not part of the one upstream writes. */
function withLock(config: GuestConfig): GuestConfig {
  return { ...config, values: new Map(config.values) };
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
