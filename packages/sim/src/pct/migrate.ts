/**
 * `pct migrate` (pve-container src/PVE/API2/LXC.pm migrate_vm, src/PVE/LXC/Migrate.pm; pve-guest-common
 * src/PVE/AbstractMigrate.pm): the local volumes are copied to the other node, the config follows by a rename, and what
 * is left here goes. A running container is shut down before and started there after; there is no live migration.
 */

import { ToolError } from '../call/tool.ts';
import { guestFile, movePveFile, readCluster, requireQuorum } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { configPath, loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { destroyDisks } from '../guest/disks.ts';
import { isHaManaged, leaveCommand } from '../guest/ha.ts';
import { copyVolumeThere, migrating, requireSsh, sayer, type Way } from '../guest/migration.ts';
import { type MountPoint, mountPoints, printMountPoint, usedVolumes } from '../guest/mount-point.ts';
import { Host } from '../host/host.ts';
import { parameterError } from '../schema/command.ts';
import { splitList } from '../schema/format.ts';
import { enabledStorage, findVolume, holdsContainers } from '../storage/storages.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { isShared } from '../text/storage-cfg.ts';
import { atPoint, exit, flag, isRunning, lockedInTask, taskOf, text, type Verb } from './context.ts';
import { bringUp, halt, startWithin } from './power.ts';

const SHUTDOWN_SECONDS = 180;

interface Migration extends Way {
  readonly verb: Verb;
  readonly task: Task;
}

/** One volume that goes along, and what it is called over there. */
interface Travelling {
  readonly key: string;
  readonly volid: string;
  readonly targetVolid: string;
}

export async function migrate(verb: Verb): Promise<number> {
  const { host } = verb;
  const target = text(verb, 'target') ?? '';
  if (target === host.name) throw parameterError(verb.call, { target: 'target is local node.' });
  requireQuorum(host);
  const member = readCluster(host).members[target];
  if (member === undefined) throw new ToolError(`no such cluster node '${target}'\n`);
  loadConfig(host, verb.vmid, verb.io.err);
  const isMoving = flag(verb, 'online') || flag(verb, 'restart');
  if (isRunning(verb) && !isMoving)
    throw new ToolError("can't migrate running container without --online or --restart\n");
  for (const id of storagesAsked(verb)) {
    if (!holdsContainers(enabledStorage(host, id, target)))
      throw new ToolError(`storage '${id}' does not support CT rootdirs\n`);
  }
  if (isHaManaged(host, verb.vmid)) {
    const asked = await taskOf(verb, 'hamigrate', async (task) => {
      task.log(`Requesting HA migration for CT ${verb.vmid} to node ${target}\n`);
      leaveCommand(host, `migrate ct:${verb.vmid} ${target}`);
    });
    return exit(asked);
  }
  const end = await taskOf(verb, 'vzmigrate', (task) => {
    const say = sayer(task);
    return lockedInTask(verb, task, () => carry({ host, verb, task, target, member, say }));
  });
  return exit(end);
}

async function carry(migration: Migration): Promise<void> {
  const wasRunning = isRunning(migration.verb);
  await migrating(migration.say, async () => {
    const config = await prepare(migration);
    await move(migration, config, wasRunning);
  });
}

/** Everything is asked before anything is stopped. */
async function prepare(migration: Migration): Promise<GuestConfig> {
  const { verb, task, target, say } = migration;
  const { host, vmid } = verb;
  const config = loadConfig(host, vmid, task.log);
  requireUnlocked(config);
  const isUp = isRunning(verb);
  if (isUp && flag(verb, 'online')) throw new ToolError('lxc live migration is currently not implemented\n');
  for (const point of mountPoints(config, { withUnused: true })) checkPoint(verb, point, target);
  requireSsh(migration);
  if (isUp) {
    say(`shutdown CT ${vmid}`);
    const timeoutSeconds = Number(text(verb, 'timeout') ?? SHUTDOWN_SECONDS);
    await halt(verb, task, { config, timeoutSeconds, thenKill: false });
  }
  return config;
}

function checkPoint(verb: Verb, point: MountPoint, target: string): void {
  if (point.kind !== 'volume') {
    if (point.values['shared'] === '1') return;
    throw new ToolError(`cannot migrate local ${point.kind} mount point '${point.key}'\n`);
  }
  const { storage } = findVolume(verb.host, point.volume);
  if (!holdsContainers(enabledStorage(verb.host, storage.id)))
    throw new ToolError(`content type 'rootdir' is not available on storage '${storage.id}'\n`);
  const there = isShared(storage) ? storage.id : storageThere(verb, storage.id);
  if (!holdsContainers(enabledStorage(verb.host, there, target)))
    throw new ToolError(`${point.volume}: content type 'rootdir' is not available on storage '${there}'\n`);
}

function storagesAsked(verb: Verb): string[] {
  const entries = splitList(text(verb, 'target-storage') ?? '').filter((entry) => entry !== '1');
  const pairs = entries.filter((entry) => entry.includes(':'));
  return [...pairs.map((entry) => entry.split(':')[1] ?? ''), ...entries.filter((entry) => !entry.includes(':'))];
}

/** `--target-storage`: pairs, or one storage for all; without it the same as here. */
function storageThere(verb: Verb, id: string): string {
  const entries = splitList(text(verb, 'target-storage') ?? '1');
  const pair = entries.map((entry) => entry.split(':')).find(([from, to]) => from === id && to !== undefined);
  const all = entries.find((entry) => !entry.includes(':') && entry !== '1');
  return pair?.[1] ?? all ?? id;
}

async function move(migration: Migration, config: GuestConfig, wasRunning: boolean): Promise<void> {
  const { verb, task, target, member, say } = migration;
  const { host, vmid } = verb;
  const there = Host.open(member.root);
  say(`starting migration of CT ${vmid} to node '${target}' (${member.ip})`);
  config.values.set('lock', 'migrate');
  storeConfig(host, vmid, config);
  const sent: Travelling[] = [];
  try {
    for (const point of mountPoints(config, { withUnused: true })) {
      const one = await send(migration, { there, config, point });
      if (one !== undefined) sent.push(one);
    }
    await atPoint(verb, 'before-move');
    rename(config, sent);
    storeConfig(host, vmid, config);
    movePveFile(host, configPath(host, vmid), guestFile(target, 'lxc', vmid));
  } catch (err) {
    await takeBack(migration, there, { config, sent, wasRunning });
    throw err;
  }
  await destroyDisks(
    { host, vmid, log: task.log },
    sent.map(({ volid }) => volid),
  );
  say('start final cleanup');
  config.values.delete('lock');
  storeConfig(there, vmid, config);
  if (!wasRunning) return;
  say('start container on target node');
  // A command of its own on the other node; what it says is output of this task.
  await startWithin(verb, task, there);
}

/** A volume of a shared storage, or of no storage at all, stays where it is. */
async function send(
  migration: Migration,
  at: { there: Host; config: GuestConfig; point: MountPoint },
): Promise<Travelling | undefined> {
  const { verb, say } = migration;
  const { there, config, point } = at;
  if (point.kind !== 'volume') return undefined;
  const { storage } = findVolume(verb.host, point.volume);
  if (isShared(storage)) return undefined;
  say(`found local volume '${point.volume}' (in current VM config)`);
  const withSnapshots = [...config.snapshots.values()].some((section) => usedVolumes(section).includes(point.volume));
  const copying = { here: verb.host, there, vmid: verb.vmid, storage: storageThere(verb, storage.id), withSnapshots };
  const targetVolid = await copyVolumeThere(point.volume, copying);
  say(`volume '${point.volume}' is '${targetVolid}' on the target`);
  return { key: point.key, volid: point.volume, targetVolid };
}

function rename(config: GuestConfig, sent: readonly Travelling[]): void {
  const named = new Map(sent.map((one) => [one.key, one.targetVolid]));
  for (const point of mountPoints(config, { withUnused: true })) {
    const volume = named.get(point.key);
    if (volume === undefined || volume === point.volume) continue;
    const value = point.key.startsWith('unused') ? volume : printMountPoint(point.key, { ...point.values, volume });
    config.values.set(point.key, value);
  }
}

interface Undo {
  readonly config: GuestConfig;
  readonly sent: readonly Travelling[];
  readonly wasRunning: boolean;
}

/** The copies over there go, the guest here is as it was. */
async function takeBack(
  { verb, task, say }: Migration,
  there: Host,
  { config, sent, wasRunning }: Undo,
): Promise<void> {
  const { host, vmid } = verb;
  await destroyDisks(
    { host: there, vmid, log: task.log },
    sent.map(({ targetVolid }) => targetVolid),
  );
  config.values.delete('lock');
  rename(
    config,
    sent.map((one) => ({ ...one, targetVolid: one.volid })),
  );
  storeConfig(host, vmid, config);
  if (!wasRunning) return;
  say('start container on source node');
  await bringUp(verb, task, config);
}
