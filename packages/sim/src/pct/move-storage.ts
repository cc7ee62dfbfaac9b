/** move-volume to another storage: a full copy, then the config (pve-container src/PVE/API2/LXC.pm move_volume). */

import { errorText, ToolError } from '../call/tool.ts';
import { clusterLog } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { hasTemplateMark } from '../guest/change.ts';
import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { createDisks } from '../guest/disks.ts';
import { addUnused, type MountPoint, parseMountPoint, printMountPoint, usedVolumes } from '../guest/mount-point.ts';
import { copyTree } from '../pool/files.ts';
import { enabledStorage, findVolume, freeVolume, volumeBackend, volumeDirectory } from '../storage/storages.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { RSYNC_SUMMARY } from './clone.ts';
import { exit, flag, isRunning, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';
import { requireDigest } from './volume.ts';

const GIB = 1024 ** 3;

/** The config carries the lock `disk` from before the task until its end. */
export async function moveToStorage(verb: Verb, storage: string): Promise<number> {
  const key = text(verb, 'volume') ?? '';
  await locked(verb, async () => {
    const config = loadConfig(verb.host, verb.vmid, verb.io.err);
    requireUnlocked(config);
    checkedPoint(verb, config, key);
    config.values.set('lock', 'disk');
    storeConfig(verb.host, verb.vmid, config);
  });
  const end = await taskOf(verb, 'move_volume', async (task) => {
    const msg = `move volume CT ${verb.vmid}: move --volume ${key} --storage ${storage}`;
    clusterLog(verb.host, { tag: verb.tool, pid: verb.io.worker?.pid ?? process.pid, user: 'root@pam', msg });
    try {
      await copyVolume(verb, task, { key, storage });
    } catch (err) {
      unlockDisk(verb);
      throw err;
    }
  });
  return exit(end);
}

function checkedPoint(verb: Verb, config: GuestConfig, key: string): MountPoint {
  if (isRunning(verb)) throw new ToolError('cannot move volumes of a running container\n');
  if (key.startsWith('unused'))
    throw new ToolError(`cannot move volume '${key}', only configured volumes can be moved to another storage\n`);
  const point = parseMountPoint(key, config.values.get(key) ?? '');
  const isInSnapshot = [...config.snapshots.values()].some((section) => usedVolumes(section).includes(point.volume));
  if (flag(verb, 'delete') && isInSnapshot)
    throw new ToolError("you can't move a volume with snapshots and delete the source\n");
  requireDigest(text(verb, 'digest'), config, '');
  return point;
}

async function copyVolume(verb: Verb, task: Task, move: { key: string; storage: string }): Promise<void> {
  const { host, vmid } = verb;
  const config = loadConfig(host, vmid, task.log);
  const point = parseMountPoint(move.key, config.values.get(move.key) ?? '');
  await volumeDirectory(host, point.volume);
  enabledStorage(host, move.storage);
  const { storage, volname } = findVolume(host, point.volume);
  const bytes = await (await volumeBackend(storage)).sizeBytes({ host, storage, volname });
  const into = new Map<string, string>();
  const target = move.key === 'rootfs' ? '' : `,mp=${point.target}`;
  const wanted = new Map([[move.key, `${move.storage}:${bytes / GIB}${target}`]]);
  const work = { host, vmid, log: task.log };
  const [volid = ''] = await createDisks(work, wanted, { owner: config, into });
  await copyTree(await volumeDirectory(host, point.volume), await volumeDirectory(host, volid), new Set());
  task.log(RSYNC_SUMMARY);
  const moved = hasTemplateMark(config) ? await asBase(verb, volid) : volid;
  await lockedInTask(verb, task, async () => {
    const fresh = loadConfig(host, vmid, task.log);
    fresh.values.set(move.key, printMountPoint(move.key, { ...point.values, volume: moved, size: String(bytes) }));
    if (!flag(verb, 'delete')) addUnused(fresh, point.volume);
    storeConfig(host, vmid, fresh);
  });
  if (flag(verb, 'delete')) await freeSource(verb, task, point.volume);
  unlockDisk(verb);
}

async function asBase({ host }: Verb, volid: string): Promise<string> {
  const { storage, volname } = findVolume(host, volid);
  return `${storage.id}:${await (await volumeBackend(storage)).makeBase({ host, storage, volname })}`;
}

/** A source that does not go stays as an unused volume. */
async function freeSource(verb: Verb, task: Task, volid: string): Promise<void> {
  const { host, vmid } = verb;
  try {
    await freeVolume(host, volid);
  } catch (err) {
    task.log(`${errorText(err)}\n`);
    await lockedInTask(verb, task, async () => {
      const config = loadConfig(host, vmid, task.log);
      addUnused(config, volid);
      storeConfig(host, vmid, config);
    });
  }
}

function unlockDisk(verb: Verb): void {
  const config = loadConfig(verb.host, verb.vmid, () => undefined);
  config.values.delete('lock');
  storeConfig(verb.host, verb.vmid, config);
}
