/**
 * `qm migrate` (qemu-server src/PVE/API2/Qemu.pm migrate_vm, src/PVE/QemuMigrate.pm): local volumes are copied to the
 * other node and the config follows by a rename. A running VM moves with `--online`: it runs here, and then there.
 */

import { ToolError } from '../call/tool.ts';
import { guestFile, movePveFile, readCluster, requireQuorum } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { destroyDisks } from '../guest/disks.ts';
import { copyVolumeThere, migrating, requireSsh, sayer, type Way } from '../guest/migration.ts';
import { Host } from '../host/host.ts';
import { publishStopped } from '../host/running.ts';
import { atPoint, exit, flag, isRunning, taskOf, text, type Verb } from '../pct/context.ts';
import { playGuests } from '../runtime/played.ts';
import { parameterError } from '../schema/command.ts';
import { splitList } from '../schema/format.ts';
import { enabledStorage, findVolume } from '../storage/storages.ts';
import { contentOf, isShared } from '../text/storage-cfg.ts';
import { disksOf, printDisk, type VmConfig } from '../text/vm-config.ts';
import { loadVm, lockedVm, requireUnlocked, storeVm, vmPath } from './vm.ts';

export async function migrate(verb: Verb): Promise<number> {
  const { host, vmid } = verb;
  const target = text(verb, 'target') ?? '';
  if (target === host.name) throw parameterError(verb.call, { target: 'target is local node.' });
  requireQuorum(host);
  const member = readCluster(host).members[target];
  if (member === undefined) throw new ToolError(`no such cluster node '${target}'\n`);
  const config = loadVm(host, vmid);
  requireUnlocked(config);
  if (isRunning(verb) && !flag(verb, 'online')) throw new ToolError("can't migrate running VM without --online\n");
  if (!isRunning(verb) && flag(verb, 'online')) verb.io.err("VM isn't running. Doing offline migration instead.\n");
  checkStorages(verb, config, target);
  const end = await taskOf(verb, 'qmigrate', (task) =>
    lockedVm(verb, task, () => carry(verb, task, { host, target, member, say: sayer(task) })),
  );
  return exit(end);
}

/** Storages that are asked for must take images there; else every storage of the VM must be there too. */
function checkStorages({ host, ...verb }: Verb, config: VmConfig, target: string): void {
  const asked = splitList(text({ host, ...verb }, 'targetstorage') ?? '');
  for (const id of asked.filter((entry) => entry !== '1').map((entry) => entry.split(':').at(-1) ?? '')) {
    if (!contentOf(enabledStorage(host, id, target)).includes('images'))
      throw new ToolError(`storage '${id}' does not support vm images\n`);
  }
  if (asked.length > 0 && !asked.includes('1')) return;
  for (const { volume } of disksOf(config.values)) {
    const { storage } = findVolume(host, volume);
    enabledStorage(host, storage.id);
    enabledStorage(host, storage.id, target);
  }
}

function carry(verb: Verb, task: Task, way: Way): Promise<void> {
  const { host, vmid } = verb;
  const { say, target, member } = way;
  return migrating(say, async () => {
    requireUnlocked(loadVm(host, vmid));
    requireSsh(way);
    say(`starting migration of VM ${vmid} to node '${target}' (${member.ip})`);
    await move(verb, task, way);
  });
}

async function move(verb: Verb, task: Task, { target, member, say }: Way): Promise<void> {
  const { host, vmid } = verb;
  const there = Host.open(member.root);
  const config = loadVm(host, vmid);
  const sent: string[] = [];
  const arrived: string[] = [];
  try {
    for (const disk of disksOf(config.values, { withUnused: true })) {
      const { storage } = findVolume(host, disk.volume);
      if (isShared(storage)) continue;
      say(`found local disk '${disk.volume}' (attached)`);
      const withSnapshots = [...config.snapshots.values()].some((section) =>
        disksOf(section).some((one) => one.volume === disk.volume),
      );
      const copying = { here: host, there, vmid, storage: storageThere(verb, storage.id), withSnapshots };
      const volume = await copyVolumeThere(disk.volume, copying);
      sent.push(disk.volume);
      arrived.push(volume);
      config.values.set(disk.key, printDisk({ ...disk, volume }));
    }
    await atPoint(verb, 'before-move');
    storeVm(host, verb, config);
    movePveFile(host, vmPath(host, vmid), guestFile(target, 'qemu', vmid));
  } catch (err) {
    await destroyDisks({ host: there, vmid, log: task.log }, arrived);
    throw err;
  }
  await destroyDisks({ host, vmid, log: task.log }, sent);
  if (!isRunning(verb)) return;
  publishStopped(host, vmid);
  playGuests(there, [{ vmid, kind: 'qemu', values: config.values, since: Math.floor(Date.now() / 1000) }]);
}

/** `--targetstorage`: pairs, or one storage for all; without it the same as here. */
function storageThere(verb: Verb, id: string): string {
  const entries = splitList(text(verb, 'targetstorage') ?? '1');
  const pair = entries.map((entry) => entry.split(':')).find(([from, to]) => from === id && to !== undefined);
  const all = entries.find((entry) => !entry.includes(':') && entry !== '1');
  return pair?.[1] ?? all ?? id;
}
