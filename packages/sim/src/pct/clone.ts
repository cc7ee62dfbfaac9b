/** clone and template (pve-container src/PVE/API2/LXC.pm clone_vm, template; src/PVE/LXC/Config.pm volumes of both). */
import { emptySection, type GuestConfig, type GuestSection } from '../config-text.ts';
import { hasTemplateMark } from '../guest/change.ts';
import {
  configPath,
  loadConfig,
  removeConfig,
  requireUnlocked,
  storeConfig,
  storeInSteps,
} from '../guest/config-store.ts';
import { createDisks, destroyDisks, resolveMounts } from '../guest/disks.ts';
import { type MountPoint, mountPoints, printMountPoint } from '../guest/mount-point.ts';
import { storedNetwork } from '../guest/network.ts';
import { findGuest, requireQuorum, writePveFile } from '../pmxcfs.ts';
import { copyTree } from '../pool/files.ts';
import { isShared } from '../storage-cfg.ts';
import { enabledStorage, findVolume, volumeBackend } from '../storages.ts';
import type { Task } from '../task.ts';
import { ToolError } from '../tool.ts';
import { atPoint, exit, flag, isRunning, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';

const GIB = 1024 ** 3;

interface Plan {
  readonly source: GuestConfig;
  readonly section: GuestSection;
  readonly newId: number;
  readonly isFull: boolean;
}

/** Upstream takes the new id and locks the source before it looks at the volumes; both go back when it then refuses. */
export async function clone(verb: Verb): Promise<number> {
  requireQuorum(verb.host);
  const plan = checkedClone(verb);
  const storage = text(verb, 'storage');
  if (storage !== undefined) enabledStorage(verb.host, storage);
  await atPoint(verb, 'before-lock');
  await locked(verb, async () => {
    writePveFile(verb.host, { path: configPath(verb.host, plan.newId), text: 'lock: create\n', isNew: true });
    lockSource(verb, true);
  });
  try {
    for (const point of mountPoints(plan.section)) await checkVolume(verb, point, plan.isFull);
    checkTarget(verb, plan.section);
  } catch (err) {
    lockSource(verb, false);
    removeConfig(verb.host, plan.newId);
    throw err;
  }
  const end = await taskOf(verb, 'vzclone', async (task) => {
    try {
      await copyGuest(verb, task, plan);
    } finally {
      lockSource(verb, false);
    }
  });
  return exit(end);
}

function lockSource(verb: Verb, isLocked: boolean): void {
  const config = loadConfig(verb.host, verb.vmid, () => undefined);
  if (isLocked) config.values.set('lock', 'disk');
  else config.values.delete('lock');
  storeConfig(verb.host, verb.vmid, config);
}

function checkedClone(verb: Verb): Plan {
  const { host, vmid, io } = verb;
  const newId = Number(text(verb, 'newid') ?? 0);
  const source = loadConfig(host, vmid, io.err);
  requireUnlocked(source);
  const name = text(verb, 'snapname');
  const section = name === undefined ? source : source.snapshots.get(name);
  if (section === undefined) throw new ToolError(`snapshot '${name ?? ''}' does not exist\n`);
  const taken = findGuest(host, newId);
  if (taken !== undefined)
    throw new ToolError(
      `unable to create CT ${newId}: config file already exists\n${taken.type === 'qemu' ? 'VM' : 'CT'} ${newId} already exists on node '${taken.node}'\n`,
      2,
    );
  const isFull = flag(verb, 'full') || !hasTemplateMark(source);
  if (isFull && isRunning(verb) && name === undefined)
    throw new ToolError('Full clone of a running container is only possible from a snapshot\n', 2);
  return { source, section, newId, isFull };
}

async function checkVolume(verb: Verb, point: MountPoint, isFull: boolean): Promise<void> {
  if (point.kind !== 'volume')
    throw new ToolError(`unable to clone mountpoint '${point.key}' (type ${point.kind})\n`, 2);
  const { storage } = findVolume(verb.host, point.volume);
  if (!isFull && storage.type !== 'zfspool')
    throw new ToolError(`Linked clone feature for '${point.volume}' is not available\n`, 2);
}

function checkTarget(verb: Verb, section: GuestSection): void {
  const target = text(verb, 'target');
  if (target === undefined || target === verb.host.name) return;
  for (const point of mountPoints(section)) {
    if (isShared(findVolume(verb.host, point.volume).storage)) continue;
    verb.io.err(`found non-shared volume: ${point.volume}\n`);
    throw new ToolError(`can't clone CT to node '${target}' (CT uses local storage)\n`, 2);
  }
}

async function copyGuest(verb: Verb, task: Task, plan: Plan): Promise<void> {
  const { host, vmid } = verb;
  const { newId } = plan;
  task.log(`creating a clone of container ${vmid} with ID ${newId}\n`);
  const config: GuestConfig = {
    ...plan.source,
    ...newSection(verb, plan),
    pending: emptySection(),
    snapshots: new Map(),
  };
  const made: string[] = [];
  try {
    for (const point of mountPoints(plan.section)) {
      const volid = plan.isFull
        ? await fullCopy(verb, task, { plan, point, config })
        : await link(verb, task, { plan, point });
      made.push(volid);
      config.values.set(point.key, printMountPoint(point.key, { ...point.values, volume: volid }));
      await atPoint(verb, 'after-volume');
    }
    await atPoint(verb, 'before-config');
    // Once with the lock still there, once per volume, and once without the lock.
    storeInSteps(host, { vmid: newId, steps: 2 + made.length }, config);
  } catch (err) {
    await destroyDisks({ host, vmid: newId, log: task.log }, made);
    removeConfig(host, newId);
    throw err;
  }
}

function newSection(verb: Verb, plan: Plan): GuestSection {
  const dropped = /^(?:unused\d+|parent|template|lock|snaptime|snapstate|protection)$/;
  const values = new Map([...plan.section.values].filter(([key]) => !dropped.test(key)));
  for (const [key, value] of values)
    if (/^net\d+$/.test(key)) values.set(key, storedNetwork(verb.host, value.replace(/,?hwaddr=[^,]*/, '')));
  const hostname = text(verb, 'hostname');
  if (hostname !== undefined) values.set('hostname', hostname);
  const description = text(verb, 'description');
  if (description !== undefined) values.set('description', description);
  return { values, raw: [...plan.section.raw] };
}

interface Copy {
  readonly plan: Plan;
  readonly point: MountPoint;
}

async function fullCopy(verb: Verb, task: Task, copy: Copy & { config: GuestConfig }): Promise<string> {
  const { host } = verb;
  const { plan, point } = copy;
  const { storage, volname } = findVolume(host, point.volume);
  task.log(`create full clone of mountpoint ${point.key} (${point.volume})\n`);
  const bytes = await (await volumeBackend(storage)).sizeBytes({ host, storage, volname });
  const target = text(verb, 'storage') ?? storage.id;
  const into = new Map<string, string>();
  const work = { host, vmid: plan.newId, log: task.log };
  const wanted = new Map([
    [point.key, `${target}:${bytes / GIB}${point.key === 'rootfs' ? '' : `,mp=${point.target}`}`],
  ]);
  const [volid = ''] = await createDisks(work, wanted, { owner: copy.config, into });
  const from = await filesOf(verb, plan, point);
  const to = findVolume(host, volid);
  const directory = await (await volumeBackend(to.storage)).directory({
    host,
    storage: to.storage,
    volname: to.volname,
  });
  if (from !== undefined) await copyTree(from, directory, new Set());
  task.log(RSYNC_SUMMARY);
  return volid;
}

/** Of a snapshot the files of that moment. */
async function filesOf(verb: Verb, { section }: Plan, point: MountPoint): Promise<string | undefined> {
  const name = text(verb, 'snapname');
  if (name === undefined)
    return (await resolveMounts(verb.host, section)).find((mount) => mount.key === point.key)?.source;
  const { storage, volname } = findVolume(verb.host, point.volume);
  return await (await volumeBackend(storage)).snapshotDirectory?.({ host: verb.host, storage, volname }, name);
}

async function link(verb: Verb, task: Task, { plan, point }: Copy): Promise<string> {
  const { host } = verb;
  const { storage, volname } = findVolume(host, point.volume);
  task.log(`create linked clone of mount point ${point.key} (${point.volume})\n`);
  return `${storage.id}:${await (await volumeBackend(storage)).linkedClone({ host, storage, volname }, plan.newId)}`;
}

/** rsync --stats prints counts of what it moved; ours are not counted. */
export const RSYNC_SUMMARY =
  '\nNumber of files: 0\nNumber of created files: 0\nNumber of deleted files: 0\nNumber of regular files transferred: 0\nTotal file size: 0 bytes\nTotal transferred file size: 0 bytes\nLiteral data: 0 bytes\nMatched data: 0 bytes\nFile list size: 0\nFile list generation time: 0.001 seconds\nFile list transfer time: 0.000 seconds\nTotal bytes sent: 0\nTotal bytes received: 0\n\nsent 0 bytes  received 0 bytes  0.00 bytes/sec\ntotal size is 0  speedup is 1.00\n';

/** Exits 0 although its task failed; checks before the task still give a status. */
export async function template(verb: Verb): Promise<number> {
  checkedTemplate(verb, loadConfig(verb.host, verb.vmid, verb.io.err));
  await taskOf(verb, 'vztemplate', (task) => lockedInTask(verb, task, () => convert(verb, task)));
  return 0;
}

function checkedTemplate(verb: Verb, config: GuestConfig): void {
  requireUnlocked(config);
  if (config.snapshots.size > 0) throw new ToolError('unable to create template, because CT contains snapshots\n');
  if (hasTemplateMark(config)) throw new ToolError("you can't convert a template to a template\n");
  if (isRunning(verb)) throw new ToolError(`you can't convert a running CT to a template\n`);
}

async function convert(verb: Verb, task: Task): Promise<void> {
  const { host, vmid } = verb;
  const config = loadConfig(host, vmid, task.log);
  checkedTemplate(verb, config);
  const points = mountPoints(config);
  for (const point of points)
    if (point.kind !== 'volume') throw new ToolError(`Template feature is not available for '${point.volume}'\n`);
  config.values.set('template', '1');
  storeConfig(host, vmid, config);
  for (const point of points) {
    const { storage, volname } = findVolume(host, point.volume);
    const base = await (await volumeBackend(storage)).makeBase({ host, storage, volname });
    config.values.set(point.key, printMountPoint(point.key, { ...point.values, volume: `${storage.id}:${base}` }));
    await atPoint(verb, 'after-volume');
  }
  storeConfig(host, vmid, config);
}
