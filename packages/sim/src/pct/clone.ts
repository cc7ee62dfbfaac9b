/** clone and template (pve-container src/PVE/API2/LXC.pm clone_vm, template; src/PVE/LXC/Config.pm volumes of both). */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { errorText, ToolError } from '../call/tool.ts';
import { guestFile, movePveFile, readCluster, requireQuorum, writePveFile } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { hasTemplateMark } from '../guest/change.ts';
import { configPath, loadConfig, removeConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { createDisks, destroyDisks, resolveMounts } from '../guest/disks.ts';
import { type MountPoint, mountPoints, printMountPoint } from '../guest/mount-point.ts';
import { storedNetwork } from '../guest/network.ts';
import { addToPool, requirePool } from '../guest/pools.ts';
import type { Host } from '../host/host.ts';
import { copyTree } from '../pool/files.ts';
import type { PropertyValues } from '../schema/property-split.ts';
import { enabledStorage, findVolume, storageOf, volumeBackend, volumeDirectory } from '../storage/storages.ts';
import { emptyConfig, type GuestConfig, type GuestSection } from '../text/guest-config.ts';
import { isShared } from '../text/storage-cfg.ts';
import { atPoint, exit, flag, isRunning, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';

const GIB = 1024 ** 3;

interface Plan {
  readonly source: GuestConfig;
  readonly section: GuestSection;
  readonly newId: number;
  readonly isFull: boolean;
  readonly target: string | undefined;
}

/** ENOENT of the firewall file that most guests have not; every refusal after it ends with that number. */
const NO_FILE = 2;

/** Upstream takes the new id and locks the source before it looks at the volumes; both go back when it then refuses. */
export async function clone(verb: Verb): Promise<number> {
  requirePool(verb.host, text(verb, 'pool'));
  const target = targetNode(verb);
  requireStorage(verb, target);
  requireQuorum(verb.host);
  await atPoint(verb, 'before-lock');
  const plan = await reserved(verb, target);
  try {
    storeConfig(verb.host, plan.newId, await checkedCopy(verb, plan));
  } catch (err) {
    await lockSource(verb, false);
    removeNew(verb, plan);
    throw err;
  }
  const end = await taskOf(verb, 'vzclone', (task) => copyGuest(verb, task, plan));
  return exit(end);
}

function targetNode(verb: Verb): string | undefined {
  const target = text(verb, 'target');
  if (target === undefined || target === verb.host.name || target === 'localhost') return undefined;
  if (readCluster(verb.host).members[target] === undefined) throw new ToolError(`no such cluster node '${target}'\n`);
  return target;
}

function requireStorage(verb: Verb, target: string | undefined): void {
  const id = text(verb, 'storage');
  if (id === undefined) return;
  const storage = enabledStorage(verb.host, id);
  if (target === undefined) return;
  enabledStorage(verb.host, id, target);
  if (!isShared(storage)) throw new ToolError(`can't clone to non-shared storage '${id}'\n`);
}

/** The source is locked, and the new id is ours. */
async function reserved(verb: Verb, target: string | undefined): Promise<Plan> {
  const { host } = verb;
  const newId = Number(text(verb, 'newid') ?? 0);
  const source = await lockSource(verb, true);
  try {
    writePveFile(host, { path: configPath(host, newId), text: 'lock: create\n', isNew: true });
  } catch (err) {
    await lockSource(verb, false);
    throw err;
  }
  await atPoint(verb, 'after-lock');
  const isFull = text(verb, 'full') === undefined ? !hasTemplateMark(source) : flag(verb, 'full');
  return { source, section: source, newId, isFull, target };
}

async function lockSource(verb: Verb, isLocked: boolean): Promise<GuestConfig> {
  return locked(verb, async () => {
    const config = loadConfig(verb.host, verb.vmid, isLocked ? verb.io.err : () => undefined);
    if (isLocked) requireUnlocked(config);
    if (isLocked) config.values.set('lock', 'disk');
    else config.values.delete('lock');
    storeConfig(verb.host, verb.vmid, config);
    return config;
  });
}

function removeNew({ host }: Verb, { newId }: Plan): void {
  removeConfig(host, newId);
  rmSync(firewallFile(host, newId), { force: true });
}

function firewallFile(host: Host, vmid: number): string {
  return host.clusterPath('firewall', `${vmid}.fw`);
}

/** The config of the copy without its volumes; every option is looked at in the order of the keys. */
async function checkedCopy(verb: Verb, plan: Plan): Promise<GuestConfig> {
  const { host, vmid } = verb;
  if (existsSync(firewallFile(host, vmid))) copyFileSync(firewallFile(host, vmid), firewallFile(host, plan.newId));
  if (text(verb, 'storage') !== undefined && !plan.isFull)
    throw new ToolError("parameter 'storage' not allowed for linked clones\n", NO_FILE);
  const config = newConfig(verb, sectionOf(verb, plan));
  let isShareable = true;
  for (const point of mountPoints(sectionOf(verb, plan)).sort((a, b) => (a.key < b.key ? -1 : 1)))
    isShareable = checkVolume(verb, point, plan) && isShareable;
  if (plan.target !== undefined && !isShareable)
    throw new ToolError(`can't clone CT to node '${plan.target}' (CT uses local storage)\n`, NO_FILE);
  return config;
}

function sectionOf(verb: Verb, { source }: Plan): GuestSection {
  const name = text(verb, 'snapname');
  const section = name === undefined ? source : source.snapshots.get(name);
  if (section === undefined) throw new ToolError(`snapshot '${name ?? ''}' does not exist\n`, NO_FILE);
  return section;
}

/** Whether the copy can be used from another node. */
function checkVolume(verb: Verb, point: MountPoint, { isFull, target }: Plan): boolean {
  if (point.kind !== 'volume')
    throw new ToolError(`unable to clone mountpoint '${point.key}' (type ${point.kind})\n`, NO_FILE);
  const { storage, parsed } = findVolume(verb.host, point.volume);
  const where = text(verb, 'storage');
  const isUsable = isShared(where === undefined ? storage : storageOf(verb.host, where));
  if (!isUsable && target !== undefined) verb.io.err(`found non-shared volume: ${point.volume}\n`);
  const isSnapshot = text(verb, 'snapname') !== undefined;
  if (isFull && isRunning(verb) && !isSnapshot)
    throw new ToolError('Full clone of a running container is only possible from a snapshot\n', NO_FILE);
  if (!isFull && (storage.type !== 'zfspool' || isSnapshot || !parsed.isBase))
    throw new ToolError(`Linked clone feature for '${point.volume}' is not available\n`, NO_FILE);
  return isUsable;
}

/** Everything is taken over but the volumes, what belongs to snapshots, and the addresses of the interfaces. */
function newConfig(verb: Verb, from: GuestSection): GuestConfig {
  const dropped = /^(?:rootfs|mp\d+|unused\d+|parent|template|snaptime|snapstate)$/;
  const values = new Map([...from.values].filter(([key]) => !dropped.test(key)));
  for (const [key, value] of values)
    if (/^net\d+$/.test(key)) values.set(key, storedNetwork(verb.host, value.replace(/,?hwaddr=[^,]*/, '')));
  for (const key of ['hostname', 'description']) {
    const given = text(verb, key) ?? '';
    if (given !== '') values.set(key, given);
  }
  values.set('lock', 'create');
  return { ...emptyConfig(), values, raw: [...from.raw] };
}

/** Under the lock of the copy's own config, which must still say that it is being made. */
async function changeNew(
  verb: Verb,
  task: Task,
  at: { plan: Plan; change: (config: GuestConfig) => void },
): Promise<void> {
  const { newId } = at.plan;
  await lockedInTask({ ...verb, vmid: newId }, task, async () => {
    const config = loadConfig(verb.host, newId, task.log);
    if (config.values.get('lock') !== 'create') throw new ToolError("Lost 'create' config lock, aborting.\n");
    at.change(config);
    storeConfig(verb.host, newId, config);
  });
}

async function copyGuest(verb: Verb, task: Task, plan: Plan): Promise<void> {
  const { host, vmid } = verb;
  const { newId, target } = plan;
  task.log(`creating a clone of container ${vmid} with ID ${newId}\n`);
  const made: string[] = [];
  try {
    await copyVolumes(verb, task, { plan, made });
    addToPool(host, text(verb, 'pool'), newId);
  } catch (err) {
    await lockSource(verb, false);
    await destroyDisks({ host, vmid: newId, log: task.log }, made);
    removeNew(verb, plan);
    throw new ToolError(`clone failed: ${errorText(err)}\n`);
  }
  await lockSource(verb, false);
  await atPoint(verb, 'before-config');
  await changeNew(verb, task, { plan, change: (config) => config.values.delete('lock') });
  if (target !== undefined) movePveFile(host, configPath(host, newId), guestFile(target, 'lxc', newId));
}

async function copyVolumes(verb: Verb, task: Task, at: { plan: Plan; made: string[] }): Promise<void> {
  const { plan, made } = at;
  const section = sectionOf(verb, plan);
  for (const point of mountPoints(section)) await volumeDirectory(verb.host, point.volume);
  for (const point of mountPoints(section)) {
    const copy = { plan: { ...plan, section }, point };
    const values = plan.isFull ? await fullCopy(verb, task, copy) : await link(verb, task, copy);
    made.push(values['volume'] ?? '');
    const value = printMountPoint(point.key, { ...point.values, ...values });
    await changeNew(verb, task, { plan, change: (config) => config.values.set(point.key, value) });
    await atPoint(verb, 'after-volume');
  }
}

interface Copy {
  readonly plan: Plan;
  readonly point: MountPoint;
}

/** The new volume and its size. */
async function fullCopy(verb: Verb, task: Task, copy: Copy): Promise<PropertyValues> {
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
  const [volid = ''] = await createDisks(work, wanted, { owner: plan.section, into });
  const from = await filesOf(verb, plan, point);
  const to = findVolume(host, volid);
  const directory = await (await volumeBackend(to.storage)).directory({
    host,
    storage: to.storage,
    volname: to.volname,
  });
  if (from !== undefined) await copyTree(from, directory, new Set());
  task.log(RSYNC_SUMMARY);
  return { volume: volid, size: String(bytes) };
}

/** Of a snapshot the files of that moment. */
async function filesOf(verb: Verb, { section }: Plan, point: MountPoint): Promise<string | undefined> {
  const name = text(verb, 'snapname');
  if (name === undefined)
    return (await resolveMounts(verb.host, section)).find((mount) => mount.key === point.key)?.source;
  const { storage, volname } = findVolume(verb.host, point.volume);
  return await (await volumeBackend(storage)).snapshotDirectory?.({ host: verb.host, storage, volname }, name);
}

async function link(verb: Verb, task: Task, { plan, point }: Copy): Promise<PropertyValues> {
  const { host } = verb;
  const { storage, volname } = findVolume(host, point.volume);
  task.log(`create linked clone of mount point ${point.key} (${point.volume})\n`);
  const made = await (await volumeBackend(storage)).linkedClone({ host, storage, volname }, plan.newId);
  return { volume: `${storage.id}:${made}` };
}

/** rsync --stats prints counts of what it moved; ours are not counted. */
export const RSYNC_SUMMARY =
  '\nNumber of files: 0\nNumber of created files: 0\nNumber of deleted files: 0\nNumber of regular files transferred: 0\nTotal file size: 0 bytes\nTotal transferred file size: 0 bytes\nLiteral data: 0 bytes\nMatched data: 0 bytes\nFile list size: 0\nFile list generation time: 0.001 seconds\nFile list transfer time: 0.000 seconds\nTotal bytes sent: 0\nTotal bytes received: 0\n\nsent 0 bytes  received 0 bytes  0.00 bytes/sec\ntotal size is 0  speedup is 1.00\n';

/** Exits 0 although its task failed; checks before the task still give a status. */
export async function template(verb: Verb): Promise<number> {
  await locked(verb, async () => {
    const config = loadConfig(verb.host, verb.vmid, verb.io.err);
    requireUnlocked(config);
    if (config.snapshots.size > 0) throw new ToolError('unable to create template, because CT contains snapshots\n');
    if (hasTemplateMark(config)) throw new ToolError("you can't convert a template to a template\n");
    if (isRunning(verb)) throw new ToolError("you can't convert a CT to template if the CT is running\n");
    await taskOf(verb, 'vztemplate', () => convert(verb, config));
  });
  return 0;
}

async function convert(verb: Verb, config: GuestConfig): Promise<void> {
  await makeBases(verb, config);
  config.values.set('template', '1');
  storeConfig(verb.host, verb.vmid, config);
}

/** Every volume becomes the base of clones to come, or none does (pve-container src/PVE/LXC.pm template_create). */
export async function makeBases(verb: Verb, config: GuestConfig): Promise<void> {
  const { host, vmid } = verb;
  const points = mountPoints(config);
  for (const point of points)
    if (point.kind !== 'volume' || findVolume(host, point.volume).parsed.isBase)
      throw new ToolError(`Template feature is not available for '${point.volume}'\n`);
  for (const point of points) {
    await volumeDirectory(host, point.volume);
    const { storage, volname } = findVolume(host, point.volume);
    const base = await (await volumeBackend(storage)).makeBase({ host, storage, volname });
    config.values.set(point.key, printMountPoint(point.key, { ...point.values, volume: `${storage.id}:${base}` }));
    await atPoint(verb, 'after-volume');
  }
  storeConfig(host, vmid, config);
}
