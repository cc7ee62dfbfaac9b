/** create, resize, template, clone: what makes or changes a VM's volumes. */
import { createHash } from 'node:crypto';
import { errorText, ToolError } from '../call/tool.ts';
import { findGuest, removePveFile, requireQuorum, syncCluster } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { uniqueTags } from '../guest/change.ts';
import { destroyDisks } from '../guest/disks.ts';
import { addToPool, requirePool } from '../guest/pools.ts';
import { atPoint, exit, flag, isRunning, taskOf, text, type Verb } from '../pct/context.ts';
import { copyTree } from '../pool/files.ts';
import { allocVolume, enabledStorage, findVolume } from '../storage/storages.ts';
import type { VolumeFormat } from '../storage/volumes.ts';
import { formatSize, parseSize } from '../text/size.ts';
import { disksOf, isDriveKey, printDisk, type VmConfig, type VmDisk } from '../text/vm-config.ts';
import { checkDrives, driveOf, isCdrom, resolveCdrom, settleDrive } from './drive.ts';
import { isNetKey, withAddress, withNewAddress } from './net.ts';
import { startWithin } from './power.ts';
import { backed, editVm, isTemplate, loadVm, lockedVm, requireUnlocked, storeVm, tell, vmPath } from './vm.ts';

const CALL_ONLY = new Set([
  'vmid',
  'pool',
  'start',
  'storage',
  'archive',
  'force',
  'unique',
  'bwlimit',
  'import-working-storage',
  'live-restore',
  'ha-managed',
  'skiplock',
]);
const STUB: VmConfig = { values: new Map([['lock', 'create']]), pending: new Map(), snapshots: new Map() };

export async function create(verb: Verb): Promise<number> {
  const { host, vmid } = verb;
  requireQuorum(host);
  syncCluster(host);
  const wanted = new Map(
    Object.entries(verb.call.params)
      .filter(([key]) => !CALL_ONLY.has(key))
      .map(([key, value]) => [key, String(value)]),
  );
  requirePool(host, text(verb, 'pool'));
  resolveCdrom(wanted);
  checkDrives(verb, wanted);
  for (const [key, value] of wanted) if (isNetKey(key)) wanted.set(key, withAddress(verb, key, value));
  const prefix = `unable to create VM ${vmid} - `;
  await lockedVm(verb, undefined, async () => {
    try {
      storeVm(host, { vmid, isNew: true }, STUB);
    } catch (err) {
      throw new ToolError(`${prefix}${errorText(err)}\n`);
    }
  });
  const end = await taskOf(verb, 'qmcreate', async (task) => {
    await build(verb, task, wanted);
    addToPool(host, text(verb, 'pool'), vmid);
    if (!flag(verb, 'start')) return;
    task.log('Execute autostart\n');
    await startWithin(verb, task);
  });
  return exit(end);
}

async function build(verb: Verb, task: Task, wanted: Map<string, string>): Promise<void> {
  const { host, vmid } = verb;
  const made: string[] = [];
  try {
    for (const key of [...wanted.keys()].filter(isDriveKey).sort()) {
      const drive = await settleDrive(verb, task.log, driveOf(key, wanted.get(key) ?? ''));
      if (drive.made !== undefined) made.push(drive.made);
      wanted.set(key, drive.value);
    }
    if (!wanted.has('boot')) wanted.set('boot', defaultBoot(wanted));
    const tags = wanted.get('tags');
    if (tags !== undefined) wanted.set('tags', uniqueTags(host, tags));
    wanted.set('meta', `creation-qemu=10.0.13,ctime=${Math.floor(Date.now() / 1000)}`);
    wanted.set('smbios1', `uuid=${uuid(verb, 'smbios')}`);
    wanted.set('vmgenid', uuid(verb, 'vmgenid'));
    await atPoint(verb, 'before-config');
    storeVm(host, verb, { values: wanted, pending: new Map(), snapshots: new Map() });
  } catch (err) {
    await destroyDisks({ host, vmid, log: task.log }, made);
    removePveFile(host, vmPath(host, vmid));
    throw new ToolError(`unable to create VM ${vmid} - ${errorText(err)}\n`);
  }
}

/** The first disk, the first CD drive, the first network card; empty where there is none. */
function defaultBoot(values: ReadonlyMap<string, string>): string {
  const buses = ['ide', 'scsi', 'virtio', 'sata'];
  const drives = buses.flatMap((bus) =>
    [...values.keys()].filter((key) => new RegExp(`^${bus}\\d+$`).test(key)).sort(),
  );
  const first = (wantsCdrom: boolean): string | undefined =>
    drives.find((key) => isCdrom(driveOf(key, values.get(key) ?? '')) === wantsCdrom);
  const net = [...values.keys()].filter(isNetKey).sort()[0];
  const devices = [first(false), first(true), net].filter((device) => device !== undefined);
  return devices.length === 0 ? '' : `order=${devices.join(';')}`;
}

function uuid(verb: Verb, what: string): string {
  const hex = createHash('sha256')
    .update(verb.host.draw(`${what} ${verb.vmid}`, 16))
    .digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Exits 0 although its task failed. */
export async function resize(verb: Verb): Promise<number> {
  loadVm(verb.host, verb.vmid);
  await taskOf(verb, 'resize', (task) => editVm(verb, task, (config) => grow(verb, task, config)));
  return 0;
}

async function grow(verb: Verb, task: Task, config: VmConfig): Promise<void> {
  requireUnlocked(config);
  const key = text(verb, 'disk') ?? '';
  const disk = disksOf(config.values).find((one) => one.key === key);
  if (disk === undefined) throw new ToolError(`disk '${key}' does not exist\n`);
  const { backend, ...at } = await backed(verb.host, disk.volume);
  const given = text(verb, 'size') ?? '';
  const now = await backend.sizeBytes(at);
  const asked = parseSize(given.replace(/^\+/, '')) ?? 0;
  const bytes = given.startsWith('+') ? now + asked : asked;
  if (bytes < now) throw new ToolError('shrinking disks is not supported\n');
  tell(verb, `update VM ${verb.vmid}: resize --disk ${key} --size ${given}`);
  if (bytes > now) {
    await backend.resize(at, bytes);
    task.log('Image resized.\n');
  }
  const options = disk.options.filter((option) => !option.startsWith('size='));
  config.values.set(key, printDisk({ volume: disk.volume, options: [...options, `size=${formatSize(bytes)}`] }));
}

/** Exits 0 although its task failed; checks before the task still give a status. */
export async function template(verb: Verb): Promise<number> {
  const config = loadVm(verb.host, verb.vmid);
  requireUnlocked(config);
  if (config.snapshots.size > 0) throw new ToolError('unable to create template, because VM contains snapshots\n');
  if (isTemplate(config)) throw new ToolError("you can't convert a template to a template\n");
  if (isRunning(verb)) throw new ToolError("you can't convert a VM to template if VM is running\n");
  await taskOf(verb, 'qmtemplate', (task) =>
    editVm(verb, task, async (now) => {
      for (const disk of disksOf(now.values)) {
        const { backend, ...at } = await backed(verb.host, disk.volume);
        const base = await backend.makeBase(at);
        now.values.set(disk.key, printDisk({ ...disk, volume: `${at.storage.id}:${base}` }));
        await atPoint(verb, 'after-volume');
      }
      now.values.set('template', '1');
    }),
  );
  return 0;
}

export async function clone(verb: Verb): Promise<number> {
  const { host, vmid } = verb;
  requireQuorum(host);
  const newId = Number(text(verb, 'newid') ?? 0);
  const source = loadVm(host, vmid);
  requireUnlocked(source);
  const name = text(verb, 'snapname');
  const section = name === undefined ? source.values : source.snapshots.get(name);
  if (section === undefined) throw new ToolError(`snapshot '${name ?? ''}' does not exist\n`);
  syncCluster(host);
  const taken = findGuest(host, newId);
  if (taken?.node === host.name && taken.type === 'qemu')
    throw new ToolError(`unable to create VM ${newId}: config file already exists\n`);
  const isFull = flag(verb, 'full') || !isTemplate(source);
  for (const disk of disksOf(section)) await requireFeature(verb, disk, isFull);
  await atPoint(verb, 'before-lock');
  storeVm(host, { vmid: newId, isNew: true }, { ...STUB, values: new Map([['lock', 'clone']]) });
  const end = await taskOf(verb, 'qmclone', (task) => copy(verb, task, { section, newId, isFull }));
  return exit(end);
}

async function requireFeature(verb: Verb, disk: VmDisk, isFull: boolean): Promise<void> {
  const { storage } = findVolume(verb.host, disk.volume);
  if (!isFull && storage.type !== 'zfspool')
    throw new ToolError(`Linked clone feature is not supported for drive '${disk.key}'\n`);
  const wanted = text(verb, 'storage');
  if (wanted !== undefined) enabledStorage(verb.host, wanted);
}

interface Copying {
  readonly section: ReadonlyMap<string, string>;
  readonly newId: number;
  readonly isFull: boolean;
}

async function copy(verb: Verb, task: Task, { section, newId, isFull }: Copying): Promise<void> {
  const { host } = verb;
  const values = cloned(verb, section);
  const made: string[] = [];
  try {
    for (const disk of disksOf(section)) {
      task.log(`create ${isFull ? 'full' : 'linked'} clone of drive ${disk.key} (${disk.volume})\n`);
      const volume = isFull ? await fullCopy(verb, task, { disk, newId }) : await linked(verb, disk, newId);
      made.push(volume);
      values.set(disk.key, printDisk({ ...disk, volume }));
      await atPoint(verb, 'after-volume');
    }
    await atPoint(verb, 'before-config');
    storeVm(host, { vmid: newId }, { values, pending: new Map(), snapshots: new Map() });
  } catch (err) {
    await destroyDisks({ host, vmid: newId, log: task.log }, made);
    removePveFile(host, vmPath(host, newId));
    throw new ToolError(`clone failed: ${errorText(err)}\n`);
  }
}

async function fullCopy(verb: Verb, task: Task, { disk, newId }: { disk: VmDisk; newId: number }): Promise<string> {
  const { host } = verb;
  const { backend, ...from } = await backed(host, disk.volume);
  const storage = enabledStorage(host, text(verb, 'storage') ?? from.storage.id);
  const sizeBytes = await backend.sizeBytes(from);
  const format = findVolume(host, disk.volume).parsed.format as VolumeFormat;
  const volume = await allocVolume(host, storage, { vmid: newId, format, sizeBytes, log: task.log });
  const { backend: target, ...to } = await backed(host, volume);
  if (from.storage.type === 'dir' && to.storage.type === 'dir')
    await copyTree(await backend.directory(from), await target.directory(to), new Set());
  return volume;
}

async function linked(verb: Verb, disk: VmDisk, newId: number): Promise<string> {
  const { backend, ...at } = await backed(verb.host, disk.volume);
  return `${at.storage.id}:${await backend.linkedClone(at, newId)}`;
}

/** The clone has its own identity: name, MAC addresses, generation. */
function cloned(verb: Verb, section: ReadonlyMap<string, string>): Map<string, string> {
  const dropped = /^(?:unused\d+|parent|template|lock|snaptime|snapstate|vmstate|protection)$/;
  const values = new Map([...section].filter(([key]) => !dropped.test(key)));
  for (const [key, value] of values) if (isNetKey(key)) values.set(key, withNewAddress(verb, key, value));
  values.set('name', text(verb, 'name') ?? `Copy-of-VM-${section.get('name') ?? verb.vmid}`);
  const description = text(verb, 'description');
  if (description !== undefined) values.set('description', description);
  values.set('smbios1', `uuid=${uuid(verb, 'smbios')}`);
  values.set('vmgenid', uuid(verb, 'vmgenid'));
  return values;
}
