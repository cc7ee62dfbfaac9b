/**
 * What a restore has beside a create: the container that may stand in its place, the configuration that the backup
 * itself carries, and the two of them merged (pve-container src/PVE/API2/LXC.pm create_vm, src/PVE/LXC/Create.pm
 * recover_config, restore_configuration).
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { ToolError } from '../call/tool.ts';
import { findGuest } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { loadConfig, requireUnlocked, requireUnprotected, storeConfig } from '../guest/config-store.ts';
import { type MountPoint, mountPoints, printMountPoint } from '../guest/mount-point.ts';
import { storedNetwork } from '../guest/network.ts';
import { guestPath } from '../guest/os-setup.ts';
import { containerSyntax } from '../guest/syntax.ts';
import { commandOf, machineRunner } from '../host/machine.ts';
import { type GuestConfig, parseConfig } from '../text/guest-config.ts';
import { parseSize } from '../text/size.ts';
import { archivePath, type Place, takeOs, unpacking, type Wanted } from './archive.ts';
import { makeBases } from './clone.ts';
import { flag, isRunning, text, type Verb } from './context.ts';

const GIB = 1024 ** 3;
const CONFIG_IN_BACKUP = '/etc/vzdump/pct.conf';
const FIREWALL_IN_BACKUP = '/etc/vzdump/pct.fw';

export interface Backup {
  readonly config: GuestConfig;
  readonly wasTemplate: boolean;
  /** Bind mounts and devices: they come back when the files are in place, so that none lands in them. */
  readonly later: ReadonlyMap<string, string>;
}

/** A container of that id on this node goes, once everything that can be checked before was found right. */
export function isReplacing(verb: Verb): boolean {
  const taken = findGuest(verb.host, verb.vmid);
  const isSame = taken?.node === verb.host.name && taken.type === 'lxc';
  return isSame && flag(verb, 'restore') && flag(verb, 'force');
}

export function checkReplaced(verb: Verb): void {
  requireStopped(verb);
  requireUnprotected(loadConfig(verb.host, verb.vmid, verb.io.err), `unable to restore CT ${verb.vmid}`);
}

function requireStopped(verb: Verb): void {
  if (isRunning(verb)) throw new ToolError("can't overwrite running container\n");
}

export function lockReplaced(verb: Verb): void {
  const config = loadConfig(verb.host, verb.vmid, verb.io.err);
  requireUnlocked(config);
  config.values.set('lock', 'create');
  storeConfig(verb.host, verb.vmid, config);
}

export function unlockReplaced(verb: Verb, config: GuestConfig): void {
  config.values.delete('lock');
  storeConfig(verb.host, verb.vmid, config);
}

/** Volumes that nobody asked for otherwise are made as the backup's config describes them. */
export async function recover(verb: Verb, task: Task, wanted: Wanted): Promise<Backup> {
  requireStopped(verb);
  task.log(`recovering backed-up configuration from '${wanted.archive}'\n`);
  const found = await configIn(verb, task, await archivePath(verb, wanted.archive));
  found.snapshots.clear();
  const wasTemplate = found.values.delete('template');
  const { values, raw } = wanted.config;
  raw.push(...found.raw);
  const unprivileged = found.values.get('unprivileged');
  if (text(verb, 'unprivileged') === undefined && unprivileged !== undefined) values.set('unprivileged', unprivileged);
  const later = new Map<string, string>();
  if (wanted.disks.size === 0) planVolumes(task, { points: mountPoints(found), wanted, later });
  return { config: found, wasTemplate, later };
}

function planVolumes(
  task: Task,
  plan: { points: readonly MountPoint[]; wanted: Wanted; later: Map<string, string> },
): void {
  const { points, wanted, later } = plan;
  if (!points.some((point) => point.key === 'rootfs'))
    throw new ToolError('rootfs configuration could not be recovered, please check and specify manually!\n');
  for (const point of points) {
    if (point.kind === 'volume') wanted.disks.set(point.key, newVolumeFor(point, wanted.storage));
    else later.set(point.key, keptMount(task, point));
  }
}

function newVolumeFor({ key, values }: MountPoint, storage: string): string {
  const { size, ...rest } = values;
  const bytes = size === undefined ? undefined : parseSize(size);
  if (bytes === undefined) throw new ToolError(`unable to detect disk size - please specify ${key} (size)\n`);
  return printMountPoint(key, { ...rest, volume: `${storage}:${bytes / GIB}` });
}

function keptMount(task: Task, { key, kind, values, target }: MountPoint): string {
  if (key === 'rootfs')
    throw new ToolError(`restoring rootfs to ${kind} mount is only possible by specifying -rootfs manually!\n`);
  if (values['backup'] === '1') {
    task.log('WARNING - unsupported configuration!\n');
    task.log(`backup was enabled for ${kind} mount point ${key} ('${target}')\n`);
    task.log('mount point configuration will be restored after archive extraction!\n');
    task.log('contained files will be restored to wrong directory!\n');
  }
  return printMountPoint(key, values);
}

async function configIn(verb: Verb, task: Task, archive: string): Promise<GuestConfig> {
  const member = `.${CONFIG_IN_BACKUP}`;
  const listing = await tar(verb, task, ['tf', verb.host.path(archive)]);
  if (!listing.includes(member)) throw new ToolError('ERROR: archive contains no configuration file\n');
  const lines = await tar(verb, task, ['-xpOf', verb.host.path(archive), member, '--occurrence']);
  const { config, warnings } = parseConfig(`${lines.join('\n')}\n`, verb.vmid, containerSyntax);
  for (const line of warnings) task.log(line.endsWith('\n') ? line : `${line}\n`);
  return config;
}

/** Lines of its output; what it says on stderr is output of the task, and its status is not looked at. */
async function tar(verb: Verb, task: Task, args: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  const command = commandOf({ file: 'tar', args: [...args], purpose: 'read a backup', timeoutMs: 600_000 });
  await machineRunner().run(command, {
    signal: verb.io.signal,
    onLine: (stream, line) => {
      if (stream === 'err') task.log(`${line}\n`);
      else lines.push(line);
    },
  });
  return lines;
}

export async function restoreFiles(verb: Verb, task: Task, place: Place & { readonly backup: Backup }): Promise<void> {
  const { host } = verb;
  const { config, archive, root, backup } = place;
  task.log(`restoring '${archive}' now..\n`);
  const { extractPlain } = await import('../storage/rootfs.ts');
  const options = unpacking(verb, task, { owner: config, mounts: place.mounts });
  await extractPlain(host.path(await archivePath(verb, archive)), root, options);
  task.log('merging backed-up and given configuration..\n');
  merge(verb, config, backup.config);
  takeOutNotes(verb, root);
  takeOs(verb, task, place);
}

/** Not taken over: what belongs to volumes, to snapshots, or is settled before. */
const NOT_MERGED = /^(?:rootfs|mp\d+|unused\d+|unprivileged|parent|template)$/;

function merge(verb: Verb, config: GuestConfig, from: GuestConfig): void {
  for (const [key, value] of from.values) {
    if (NOT_MERGED.test(key)) continue;
    if (flag(verb, 'unique') && /^net\d+$/.test(key))
      config.values.set(key, storedNetwork(verb.host, value.replace(/,?hwaddr=[^,]*/, '')));
    else if (!config.values.has(key)) config.values.set(key, value);
  }
}

/** The backup's own notes do not stay in the guest; its firewall rules go where rules are. */
function takeOutNotes({ host, vmid }: Verb, root: string): void {
  const config = guestPath(root, CONFIG_IN_BACKUP);
  if (config !== undefined) rmSync(config);
  const firewall = guestPath(root, FIREWALL_IN_BACKUP);
  if (firewall === undefined) return;
  const target = host.clusterPath('firewall', `${vmid}.fw`);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(firewall, target);
  rmSync(firewall);
}

/** A backup of a template becomes a template again. */
export async function makeTemplate(verb: Verb, task: Task, config: GuestConfig): Promise<void> {
  task.log('Convert restored container to template...\n');
  await makeBases(verb, config);
  config.values.set('template', '1');
}
