/** move-volume to another storage: a full copy, then the config (pve-container src/PVE/API2/LXC.pm move_volume). */
import type { GuestConfig } from '../config-text.ts';
import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { createDisks, deleteOwnedVolume } from '../guest/disks.ts';
import { addUnused, type MountPoint, parseMountPoint, printMountPoint } from '../guest/mount-point.ts';
import { clusterLog } from '../pmxcfs.ts';
import { copyTree } from '../pool/files.ts';
import { enabledStorage, findVolume, volumeBackend, volumeDirectory } from '../storages.ts';
import type { Task } from '../task.ts';
import { ToolError } from '../tool.ts';
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
  requireDigest(text(verb, 'digest'), config, '');
  const value = config.values.get(key);
  if (value === undefined) throw new ToolError(`volume '${key}' for container '${verb.vmid}' does not exist\n`);
  const point = parseMountPoint(key, value);
  if (point.kind !== 'volume')
    throw new ToolError(`you can't move a volume of type '${point.kind === 'bind' ? 'bind' : 'device'}'\n`);
  return point;
}

async function copyVolume(verb: Verb, task: Task, move: { key: string; storage: string }): Promise<void> {
  const { host, vmid } = verb;
  enabledStorage(host, move.storage);
  const config = loadConfig(host, vmid, task.log);
  const point = parseMountPoint(move.key, config.values.get(move.key) ?? '');
  const { storage, volname } = findVolume(host, point.volume);
  const bytes = await (await volumeBackend(storage)).sizeBytes({ host, storage, volname });
  const into = new Map<string, string>();
  const target = move.key === 'rootfs' ? '' : `,mp=${point.target}`;
  const wanted = new Map([[move.key, `${move.storage}:${bytes / GIB}${target}`]]);
  const work = { host, vmid, log: task.log };
  const [volid = ''] = await createDisks(work, wanted, { owner: config, into });
  await copyTree(await volumeDirectory(host, point.volume), await volumeDirectory(host, volid), new Set());
  task.log(RSYNC_SUMMARY);
  await lockedInTask(verb, task, async () => {
    const fresh = loadConfig(host, vmid, task.log);
    fresh.values.set(move.key, printMountPoint(move.key, { ...point.values, volume: volid, size: String(bytes) }));
    if (!flag(verb, 'delete')) addUnused(fresh, point.volume);
    storeConfig(host, vmid, fresh);
  });
  if (flag(verb, 'delete')) await deleteOwnedVolume(work, point.volume);
  unlockDisk(verb);
}

function unlockDisk(verb: Verb): void {
  const config = loadConfig(verb.host, verb.vmid, () => undefined);
  config.values.delete('lock');
  storeConfig(verb.host, verb.vmid, config);
}
