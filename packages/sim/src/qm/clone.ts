/** clone (qemu-server src/PVE/API2/Qemu.pm clone_vm): all is looked at before the new id is taken. */
import { errorText, ToolError } from '../call/tool.ts';
import { findGuest, movePveFile, readCluster, removePveFile, requireQuorum, syncCluster } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { destroyDisks } from '../guest/disks.ts';
import { addToPool, requirePool } from '../guest/pools.ts';
import { atPoint, exit, flag, taskOf, text, type Verb } from '../pct/context.ts';
import { copyTree } from '../pool/files.ts';
import { parameterError } from '../schema/command.ts';
import { allocVolume, enabledStorage, findVolume } from '../storage/storages.ts';
import type { VolumeFormat } from '../storage/volumes.ts';
import { contentOf, isShared } from '../text/storage-cfg.ts';
import { disksOf, printDisk, type VmConfig, type VmDisk } from '../text/vm-config.ts';
import { isNetKey, withNewAddress } from './net.ts';
import { backed, isTemplate, loadVm, requireUnlocked, storeVm, usable, uuid, vmPath } from './vm.ts';

interface Plan {
  readonly section: ReadonlyMap<string, string>;
  readonly newId: number;
  readonly isFull: boolean;
  readonly target: string | undefined;
}

const LOCKED: VmConfig = { values: new Map([['lock', 'clone']]), pending: new Map(), snapshots: new Map() };

export async function clone(verb: Verb): Promise<number> {
  const { host } = verb;
  requirePool(host, text(verb, 'pool'));
  const target = targetNode(verb);
  requireStorage(verb, target);
  requireQuorum(host);
  const plan = checkedPlan(verb, target);
  await atPoint(verb, 'before-lock');
  storeVm(host, { vmid: plan.newId, isNew: true }, LOCKED);
  return exit(await taskOf(verb, 'qmclone', (task) => copy(verb, task, plan)));
}

function targetNode(verb: Verb): string | undefined {
  const { host } = verb;
  const target = text(verb, 'target');
  if (target === undefined || target === host.name || target === 'localhost') return undefined;
  if (readCluster(host).members[target] === undefined) throw new ToolError(`no such cluster node '${target}'\n`);
  return target;
}

function requireStorage(verb: Verb, target: string | undefined): void {
  const id = text(verb, 'storage');
  if (id === undefined) return;
  const storage = enabledStorage(verb.host, id);
  if (!contentOf(storage).includes('images'))
    throw parameterError(verb.call, { storage: `storage '${id}' does not support vm images` });
  if (target === undefined) return;
  enabledStorage(verb.host, id, target);
  if (!isShared(storage)) throw new ToolError(`can't clone to non-shared storage '${id}'\n`);
}

function refuse(reason: string): never {
  throw new ToolError(`${reason}\n`);
}

function checkedPlan(verb: Verb, target: string | undefined): Plan {
  const { host, vmid } = verb;
  const source = loadVm(host, vmid);
  requireUnlocked(source);
  const section = chosenSection(verb, source);
  const isFull = text(verb, 'full') === undefined ? !isTemplate(source) : flag(verb, 'full');
  for (const key of ['storage', 'format'])
    if (text(verb, key) !== undefined && !isFull) refuse(`parameter '${key}' not allowed for linked clones`);
  const disks = disksOf(section);
  if (target !== undefined && disks.some(({ volume }) => !isShared(findVolume(host, volume).storage)))
    refuse(`can't clone VM to node '${target}' (VM uses local storage)`);
  const newId = freeId(verb);
  if (!isFull) requireLinkable(verb, disks);
  return { section, newId, isFull, target };
}

function chosenSection(verb: Verb, source: VmConfig): ReadonlyMap<string, string> {
  const name = text(verb, 'snapname');
  if (name === undefined) return source.values;
  return source.snapshots.get(name) ?? refuse(`snapshot '${name}' does not exist`);
}

function freeId(verb: Verb): number {
  const { host } = verb;
  const newId = Number(text(verb, 'newid') ?? 0);
  syncCluster(host);
  const taken = findGuest(host, newId);
  if (taken?.node === host.name && taken.type === 'qemu')
    refuse(`unable to create VM ${newId}: config file already exists`);
  return newId;
}

function requireLinkable(verb: Verb, disks: readonly VmDisk[]): void {
  const of = text(verb, 'snapname') === undefined ? '' : ' a snapshot of';
  for (const { key, volume } of disks)
    if (findVolume(verb.host, volume).storage.type !== 'zfspool')
      refuse(`Linked clone feature is not supported for${of} '${volume}' (${key})`);
}

async function copy(verb: Verb, task: Task, { section, newId, isFull, target }: Plan): Promise<void> {
  const { host, vmid } = verb;
  task.log(`creating a clone of VM ${vmid} with ID ${newId}\n`);
  const values = cloned(verb, section);
  const made: string[] = [];
  try {
    const disks = disksOf(section);
    for (const { volume } of disks) await usable(host, volume);
    for (const disk of disks) {
      task.log(`create ${isFull ? 'full' : 'linked'} clone of drive ${disk.key} (${disk.volume})\n`);
      const volume = isFull ? await fullCopy(verb, task, { disk, newId }) : await linked(verb, disk, newId);
      made.push(volume);
      values.set(disk.key, printDisk({ ...disk, volume }));
      await atPoint(verb, 'after-volume');
    }
    await atPoint(verb, 'before-config');
    storeVm(host, { vmid: newId }, { values, pending: new Map(), snapshots: new Map() });
    if (target !== undefined) movePveFile(host, vmPath(host, newId), `nodes/${target}/qemu-server/${newId}.conf`);
    addToPool(host, text(verb, 'pool'), newId);
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
  const format = (text(verb, 'format') ?? findVolume(host, disk.volume).parsed.format) as VolumeFormat;
  const volume = await allocVolume(host, storage, { vmid: newId, format, sizeBytes, log: task.log });
  task.log(`allocated target volume '${volume}'\n`);
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
  if (values.has('vmgenid')) values.set('vmgenid', uuid(verb, 'vmgenid'));
  return values;
}
