/** `pct create` (pve-container src/PVE/API2/LXC.pm create_vm), without restore. */
import { existsSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, ToolError } from '../call/tool.ts';
import { findGuest, requireQuorum, syncCluster } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { readText } from '../file/sim-file.ts';
import { applyChange } from '../guest/change.ts';
import { loadConfig, removeConfig, storeConfig, storeNewConfig } from '../guest/config-store.ts';
import { createDisks, destroyDisks, idBase, type MountedVolume, resolveMounts } from '../guest/disks.ts';
import { addResource } from '../guest/ha.ts';
import { isVolumeKey, parseMountPoint } from '../guest/mount-point.ts';
import { applyOciSettings } from '../guest/oci-settings.ts';
import { detectOs, setUpOs } from '../guest/os-setup.ts';
import { addToPool, requirePool } from '../guest/pools.ts';
import { clampCpuUnits } from '../guest/syntax.ts';
import { parameterError } from '../schema/command.ts';
import type { Extracted } from '../storage/extract.ts';
import { enabledStorage, findVolume, holdsContainers, volumeBackend, volumePath } from '../storage/storages.ts';
import { parseVolumeId } from '../storage/volume-names.ts';
import { emptyConfig, type GuestConfig } from '../text/guest-config.ts';
import { atPoint, exit, flag, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';
import { startWithin } from './power.ts';

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

interface Wanted {
  readonly config: GuestConfig;
  readonly disks: Map<string, string>;
  readonly template: string;
  readonly storage: string;
}

export async function create(verb: Verb): Promise<number> {
  requireQuorum(verb.host);
  syncCluster(verb.host);
  if (flag(verb, 'restore')) throw new ToolError('restore is not part of this stand-in\n');
  checkSshKeys(verb);
  requireFree(verb, '');
  requirePool(verb.host, text(verb, 'pool'));
  const wanted = await checked(verb);
  await reserve(verb);
  const end = await taskOf(verb, 'vzcreate', async (task) => {
    await lockedInTask(verb, task, () => build(verb, task, wanted));
    addToPool(verb.host, text(verb, 'pool'), verb.vmid);
    if (flag(verb, 'start')) await startWithin(verb, task);
    if (!flag(verb, 'ha-managed')) return;
    task.log('Add as HA resource\n');
    addResource(verb.host, verb.vmid, flag(verb, 'start') ? 'started' : 'stopped');
  });
  return exit(end);
}

const SSH_KEY =
  /^(?:[\w@",=\-./*]+ )?(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-\S+) [A-Za-z0-9+/=]+(?: .*)?$/;

/** Every line that is no comment must be a key (pve-common src/PVE/Tools.pm validate_ssh_public_keys). */
function checkSshKeys(verb: Verb): void {
  const file = text(verb, 'ssh-public-keys');
  if (file === undefined) return;
  const keys = readText(verb.host.path(file)) ?? readText(file);
  if (keys === undefined) throw new ToolError(`can't open '${file}' - No such file or directory\n`, 2);
  const lines = keys.split('\n').filter((line) => !/^\s*(?:#|$)/.test(line));
  if (!lines.every((line) => SSH_KEY.test(line))) throw new ToolError('SSH public key validation error\n');
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
  const template = text(verb, 'ostemplate') ?? '';
  const storage = text(verb, 'storage') ?? 'local';
  verb.checkRights?.({
    config: undefined,
    values: new Map(Object.entries(verb.call.params).map(([key, value]) => [key, String(value)])),
    remove: [],
    isUnprivileged: text(verb, 'unprivileged') !== '0',
  });
  checkTemplate(verb, template);
  const { disks, values } = sortParameters(verb, storage);
  if (disks.size > 0 && !disks.has('rootfs'))
    throw new ToolError("mount points configured, but 'rootfs' not set - aborting\n");
  for (const key of [...disks.keys()].sort(rootfsFirst)) await checkDisk(verb, key, disks.get(key) ?? '');
  if (disks.size === 0) {
    await requireContainers(verb, storage);
    disks.set('rootfs', `${storage}:4`);
  }
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
  if (text(verb, 'unprivileged') !== '0') config.values.set('unprivileged', '1');
  return { config, disks, template, storage };
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

function checkTemplate(verb: Verb, template: string): void {
  if (template === '-') throw new ToolError('pipe can only be used with restore tasks\n');
  if (!/^[a-z][a-z0-9\-_.]*[a-z0-9]:.+$/i.test(template)) return;
  if (findVolume(verb.host, template).parsed.kind !== 'vztmpl') {
    throw new ToolError(`unable to use volume ${template} - content type needs to be 'vztmpl'\n`);
  }
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

/** The id is ours when a config with nothing but the lock stands there; the flock is held for that moment only. */
async function reserve(verb: Verb): Promise<void> {
  const { host, vmid } = verb;
  const prefix = `unable to create CT ${vmid} - `;
  const reserveStub = async (): Promise<void> => {
    requireFree(verb, prefix);
    try {
      storeNewConfig(host, vmid, stubConfig());
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
  const { config } = wanted;
  const work = { host, vmid, log: task.log };
  loadConfig(host, vmid, task.log);
  let made: string[] = [];
  try {
    made = await createDisks(work, wanted.disks, { owner: config, into: config.values });
    storeConfig(host, vmid, stubConfig()); // upstream writes here too, and the file still holds nothing but the lock
    stopIfTold(task);
    await atPoint(verb, 'after-volume');
    await fill(verb, task, wanted);
    config.values.set('hostname', config.values.get('hostname') ?? `CT${vmid}`);
    config.values.set('memory', config.values.get('memory') ?? '512');
    config.values.set('swap', config.values.get('swap') ?? '512');
    await atPoint(verb, 'before-config');
    stopIfTold(task);
    storeConfig(host, vmid, config);
  } catch (err) {
    await destroyDisks(work, made);
    dropConfig(verb, task);
    throw new ToolError(`unable to create CT ${vmid} - ${errorText(err)}\n`);
  }
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

function stopIfTold(task: Task): void {
  if (task.signal.aborted) throw new ToolError('received interrupt\n');
}

async function fill(verb: Verb, task: Task, wanted: Wanted): Promise<void> {
  const { host } = verb;
  const { config } = wanted;
  const [root, ...mounts] = await mountAll(verb, task, config);
  if (root === undefined) throw new ToolError("missing 'rootfs' configuration\n");
  const extracted = await unpack(verb, task, { wanted, root: root.source, mounts });
  stopIfTold(task);
  if (extracted.oci !== undefined) {
    const knowsUser = compareVersions(host.identity.containerLevel, '6.1.0') >= 0;
    applyOciSettings(extracted.oci, { config, root: root.source, knowsUser, log: task.log });
  }
  for (const warning of extracted.warnings) task.warn(warning);
  const mountedAt = `/var/lib/lxc/${verb.vmid}/rootfs`;
  const given = { ...optional('ostype', config), ...optional('arch', config), mountedAt };
  const os = detectOs(root.source, given, task.log);
  config.values.set('ostype', os.ostype);
  config.values.set('arch', os.arch);
  storeConfig(host, verb.vmid, withLock(config));
  setUpOs(root.source, os.ostype, task.log);
}

function optional(key: 'ostype' | 'arch', config: GuestConfig): { ostype?: string; arch?: string } {
  const value = config.values.get(key);
  return value === undefined ? {} : { [key]: value };
}

/** The config is written once before the guest's own set-up runs; the lock is not part of the one upstream writes. */
function withLock(config: GuestConfig): GuestConfig {
  return { ...config, values: new Map(config.values) };
}

async function mountAll(verb: Verb, task: Task, config: GuestConfig): Promise<MountedVolume[]> {
  const mounts = await resolveMounts(verb.host, config);
  for (const mount of mounts) {
    if (existsSync(mount.source)) continue;
    if (mount.kind === 'device') throw noBlockDevice(verb, task, mount);
    task.log('mounting container failed\n');
    throw new ToolError(
      `directory '${parseMountPoint(mount.key, config.values.get(mount.key) ?? '').volume}' does not exist\n`,
    );
  }
  const [root, ...rest] = mounts;
  for (const mount of rest) await makeMountTarget(root?.source ?? '', mount.target, idBase(config));
  return mounts;
}

function noBlockDevice(verb: Verb, task: Task, mount: { source: string; target: string }): ToolError {
  const device = verb.host.inHost(mount.source);
  const root = `/var/lib/lxc/${verb.vmid}/rootfs`;
  task.log(
    `mount: ${root}${mount.target}: fsconfig() failed: ${device}: Can't lookup blockdev.\n       dmesg(1) may have more information after failed mount system call.\nmounting container failed\n`,
  );
  return new ToolError(`command 'mount ${device} ${root}/${mount.target}' failed: exit code 32\n`);
}

async function makeMountTarget(root: string, target: string, owner: number): Promise<void> {
  const path = join(root, target);
  if (existsSync(path)) return;
  await mkdir(path, { recursive: true, mode: 0o755 });
  if (process.getuid?.() === 0) await chown(path, owner, owner);
}

interface Unpacking {
  readonly wanted: Wanted;
  readonly root: string;
  readonly mounts: readonly { target: string; source: string }[];
}

async function unpack(verb: Verb, task: Task, { wanted, root, mounts }: Unpacking): Promise<Extracted> {
  const archive = await archivePath(verb, task, wanted.template);
  await atPoint(verb, 'listing');
  const { extract } = await import('../storage/rootfs.ts');
  return extract(verb.host.path(archive), root, {
    host: verb.host,
    vmid: verb.vmid,
    idBase: idBase(wanted.config),
    mounts: mounts.map(({ target, source }) => ({ target, source })),
    log: task.log,
    signal: task.signal,
    onProgress: () => atPoint(verb, 'mid-extract'),
  });
}

async function archivePath(verb: Verb, task: Task, template: string): Promise<string> {
  const isVolume = !template.startsWith('/');
  const path = isVolume ? await volumePath(verb.host, template) : template;
  if (existsSync(verb.host.path(path))) return path;
  const reason = isVolume ? `volume '${template}' does not exist` : `can't find file '${template}'`;
  task.log(`${reason}\n`);
  throw new ToolError(`${reason}\n`);
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
