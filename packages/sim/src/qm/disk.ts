/** create, resize, template: what makes or changes a VM's volumes. */
import { errorText, ToolError } from '../call/tool.ts';
import { removePveFile, requireQuorum, syncCluster } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { uniqueTags } from '../guest/change.ts';
import { destroyDisks } from '../guest/disks.ts';
import { addToPool, requirePool } from '../guest/pools.ts';
import { atPoint, exit, flag, isRunning, taskOf, text, type Verb } from '../pct/context.ts';
import { formatSize, parseSize } from '../text/size.ts';
import { disksOf, isDriveKey, printDisk, type VmConfig } from '../text/vm-config.ts';
import { checkDrives, driveOf, isCdrom, resolveCdrom, settleDrive } from './drive.ts';
import { isNetKey, withAddress } from './net.ts';
import { startWithin } from './power.ts';
import {
  backed,
  editVm,
  isTemplate,
  loadVm,
  lockedVm,
  requireUnlocked,
  storeVm,
  tell,
  usable,
  uuid,
  vmPath,
} from './vm.ts';

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
  const { backend, ...at } = await usable(verb.host, disk.volume);
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
      now.values.set('template', '1');
      storeVm(verb.host, verb, now);
      for (const disk of disksOf(now.values)) {
        const { backend, ...at } = await backed(verb.host, disk.volume);
        const base = await backend.makeBase(at, task.log);
        now.values.set(disk.key, printDisk({ ...disk, volume: `${at.storage.id}:${base}` }));
        await atPoint(verb, 'after-volume');
      }
    }),
  );
  return 0;
}
