/** snapshot, delsnapshot, rollback, listsnapshot (pve-guest-common src/PVE/AbstractConfig.pm, the snapshot parts). */

import { errorText, ToolError } from '../call/tool.ts';
import { clusterLog } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { hasTemplateMark } from '../guest/change.ts';
import { loadConfig, requireSnapshot, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { addUnused, type MountPoint, mountPoints } from '../guest/mount-point.ts';
import { enabledStorage, findVolume, requireNewestSnapshot, volumeBackend } from '../storage/storages.ts';
import type { VolumeAt, VolumeBackend } from '../storage/volumes.ts';
import { emptySection, type GuestConfig, type GuestSection } from '../text/guest-config.ts';
import { atPoint, exit, flag, isRunning, lockedInTask, taskOf, text, type Verb } from './context.ts';
import { killGuest, startWithin } from './power.ts';

const NOT_COPIED = /^(?:snapstate|snaptime|vmstate|lock|description|unused\d+)$/;

function copySection(from: GuestSection): GuestSection {
  return { values: new Map([...from.values].filter(([key]) => !NOT_COPIED.test(key))), raw: [...from.raw] };
}

/** Load, change and store under the guest's lock. */
async function edit(verb: Verb, task: Task, change: (config: GuestConfig) => void | Promise<void>): Promise<void> {
  await lockedInTask(verb, task, async () => {
    const config = loadConfig(verb.host, verb.vmid, task.log);
    await change(config);
    storeConfig(verb.host, verb.vmid, config);
  });
}

async function eachVolume(
  verb: Verb,
  section: GuestSection,
  step: (point: MountPoint, volume: Awaited<ReturnType<typeof backed>>) => Promise<void>,
): Promise<void> {
  for (const point of mountPoints(section))
    if (point.kind === 'volume') await step(point, await backed(verb, point.volume));
}

async function backed(verb: Verb, volid: string): Promise<VolumeAt & { backend: VolumeBackend }> {
  const found = findVolume(verb.host, volid);
  return { ...found, host: verb.host, backend: await volumeBackend(found.storage) };
}

/** Refused when one of the snapshot's storages is off. */
async function activateStorages(verb: Verb, section: GuestSection): Promise<void> {
  await eachVolume(verb, section, async (_, v) => {
    enabledStorage(verb.host, v.storage.id);
    await v.backend.activate?.(verb.host, v.storage);
  });
}

async function canSnapshot(verb: Verb, section: GuestSection): Promise<boolean> {
  for (const point of mountPoints(section)) {
    if (point.kind !== 'volume') return false;
    const { backend, storage, volname } = await backed(verb, point.volume);
    if (!backend.canSnapshot(storage, volname)) return false;
  }
  return true;
}

/** A line of the cluster's log beside those of the task. */
function tell(verb: Verb, msg: string): void {
  clusterLog(verb.host, { tag: verb.tool, pid: verb.io.worker?.pid ?? process.pid, user: 'root@pam', msg });
}

export async function snapshot(verb: Verb): Promise<number> {
  const name = text(verb, 'snapname') ?? '';
  if (name === 'current' || name === 'vzdump')
    throw new ToolError(`unable to use snapshot name '${name}' (reserved name)\n`);
  const end = await taskOf(verb, 'vzsnapshot', async (task) => {
    tell(verb, `snapshot container ${verb.vmid}: ${name}`);
    await edit(verb, task, (config) => prepare(verb, { config, name, task }));
    await atPoint(verb, 'after-prepare');
    const taken: string[] = [];
    try {
      const section = loadConfig(verb.host, verb.vmid, task.log).snapshots.get(name) ?? emptySection();
      await activateStorages(verb, section);
      await eachVolume(verb, section, async (point, v) => {
        await v.backend.snapshot(v, name);
        taken.push(point.key);
      });
    } catch (err) {
      task.log('snapshot create failed: starting cleanup\n');
      await removeSnapshot(verb, task, { name, isForced: true, only: taken });
      throw new ToolError(`${errorText(err)}\n\n`);
    }
    await atPoint(verb, 'before-config');
    await edit(verb, task, (config) => {
      config.snapshots.get(name)?.values.delete('snapstate');
      config.values.delete('lock');
      config.values.set('parent', name);
    });
  });
  return exit(end);
}

async function prepare(verb: Verb, at: { config: GuestConfig; name: string; task: Task }): Promise<void> {
  const { config, name, task } = at;
  if (hasTemplateMark(config)) throw new ToolError("you can't take a snapshot if it's a template\n");
  requireUnlocked(config);
  if (config.snapshots.has(name)) throw new ToolError(`snapshot name '${name}' already used\n`);
  if (!(await canSnapshot(verb, config))) throw new ToolError('snapshot feature is not available\n');
  for (const [other, section] of config.snapshots) {
    if (section.values.get('parent') !== name) continue;
    task.log(`deleting parent '${name}' reference from '${other}' to avoid bogus snapshot cycle.\n`);
    section.values.delete('parent');
  }
  const taken = copySection(config);
  taken.values.set('snapstate', 'prepare');
  taken.values.set('snaptime', String(Math.floor(Date.now() / 1000)));
  const description = text(verb, 'description') ?? '';
  if (description !== '') taken.values.set('description', description);
  config.snapshots.set(name, taken);
  config.values.set('lock', 'snapshot');
}

export async function delsnapshot(verb: Verb): Promise<number> {
  const name = text(verb, 'snapname') ?? '';
  const isForced = flag(verb, 'force');
  const end = await taskOf(verb, 'vzdelsnapshot', async (task) => {
    tell(verb, `delete snapshot VM ${verb.vmid}: ${name}`);
    await activateStorages(verb, requireSnapshot(loadConfig(verb.host, verb.vmid, task.log), name));
    await edit(verb, task, (config) => {
      requireUnlocked(config);
      config.values.set('lock', 'snapshot-delete');
    });
    await removeSnapshot(verb, task, { name, isForced });
  });
  return exit(end);
}

interface Removal {
  readonly name: string;
  /** What a volume refuses is only told. */
  readonly isForced: boolean;
  /** Keys of the volumes that have the snapshot; undefined: all. */
  readonly only?: readonly string[];
}

/** The lock is there. Without force each volume leaves the snapshot's section as soon as it has lost its own snapshot. */
async function removeSnapshot(verb: Verb, task: Task, { name, isForced, only }: Removal): Promise<void> {
  await edit(verb, task, (config) => {
    if (hasTemplateMark(config)) throw new ToolError("you can't delete a snapshot if vm is a template\n");
    requireSnapshot(config, name).values.set('snapstate', 'delete');
  });
  await atPoint(verb, 'after-lock');
  const section = requireSnapshot(loadConfig(verb.host, verb.vmid, task.log), name);
  const freed: string[] = [];
  await eachVolume(verb, section, async (point, v) => {
    try {
      if (only?.includes(point.key) === false) return;
      await v.backend.deleteSnapshot(v, name);
      freed.push(point.volume);
    } catch (err) {
      if (!isForced) throw err;
      task.log(`${errorText(err)}\n`);
    }
    if (isForced) return;
    await edit(verb, task, (config) => {
      const left = requireSnapshot(config, name);
      left.values.delete(point.key);
      addUnused(left, point.volume);
    });
  });
  await edit(verb, task, (config) => dropSnapshot(config, name, freed));
}

/** Volumes that only the snapshot had stay as unused ones. */
function dropSnapshot(config: GuestConfig, name: string, freed: readonly string[]): void {
  const parent = requireSnapshot(config, name).values.get('parent');
  for (const holder of [config, ...config.snapshots.values()]) {
    if (holder.values.get('parent') !== name) continue;
    if (parent === undefined) holder.values.delete('parent');
    else holder.values.set('parent', parent);
  }
  config.snapshots.delete(name);
  config.values.delete('lock');
  for (const volume of freed) addUnused(config, volume);
}

export async function rollback(verb: Verb): Promise<number> {
  const name = text(verb, 'snapname') ?? '';
  const end = await taskOf(verb, 'vzrollback', async (task) => {
    tell(verb, `rollback snapshot LXC ${verb.vmid}: ${name}`);
    await edit(verb, task, (config) => prepareRollback(verb, { config, name, task }));
    await atPoint(verb, 'after-lock');
    const section = requireSnapshot(loadConfig(verb.host, verb.vmid, task.log), name);
    await eachVolume(verb, section, (_, v) => v.backend.rollback(v, name));
    await edit(verb, task, (config) => applySnapshot(config, name));
    if (flag(verb, 'start')) await startWithin(verb, task);
  });
  return exit(end);
}

async function prepareRollback(verb: Verb, at: { config: GuestConfig; name: string; task: Task }): Promise<void> {
  const { config, name, task } = at;
  if (hasTemplateMark(config)) throw new ToolError("you can't rollback if vm is a template\n");
  const section = requireSnapshot(config, name);
  await activateStorages(verb, section);
  await eachVolume(verb, section, (_, v) => requireNewestSnapshot(v, name));
  const state = section.values.get('snapstate');
  if (state !== undefined) throw new ToolError(`unable to rollback to incomplete snapshot (snapstate = ${state})\n`);
  requireUnlocked(config);
  if (isRunning(verb)) await killGuest(verb, task, config);
  config.values.set('lock', 'rollback');
}

function applySnapshot(config: GuestConfig, name: string): void {
  const section = requireSnapshot(config, name);
  const kept = [...config.values].filter(([key]) => /^unused\d+$/.test(key) || key === 'description');
  const inSnapshot = new Set(mountPoints(section).map((point) => point.volume));
  const lost = mountPoints(config)
    .filter((point) => point.kind === 'volume' && !inSnapshot.has(point.volume))
    .map((point) => point.volume);
  config.values.clear();
  for (const [key, value] of [...kept, ...copySection(section).values]) config.values.set(key, value);
  config.raw.splice(0, config.raw.length, ...section.raw);
  config.pending.values.clear();
  for (const volume of lost) addUnused(config, volume);
  config.values.set('parent', name);
}

interface Leaf {
  readonly name: string;
  readonly time?: number;
  readonly description: string;
  readonly parent?: string;
}

export async function listsnapshot(verb: Verb): Promise<number> {
  const config = loadConfig(verb.host, verb.vmid, verb.io.err);
  const sections = new Map([...config.snapshots].map(([name, section]) => [name, section.values]));
  printSnapshotTree(verb.io, sections, config.values.get('parent'));
  return 0;
}

/** The same for containers and VMs (pve-guest-common src/PVE/GuestHelpers.pm print_snapshot_tree). */
export function printSnapshotTree(
  io: Pick<Verb['io'], 'out'>,
  sections: ReadonlyMap<string, ReadonlyMap<string, string>>,
  parent: string | undefined,
): void {
  const leaves: Leaf[] = [...sections].map(([name, values]) => leafOf(name, values));
  leaves.push({ name: 'current', description: 'You are here!', ...(parent === undefined ? {} : { parent }) });
  const known = new Set(leaves.map((leaf) => leaf.name));
  const byTime = (a: Leaf, b: Leaf): number =>
    (a.time ?? Number.MAX_SAFE_INTEGER) - (b.time ?? Number.MAX_SAFE_INTEGER);
  const print = (leaf: Leaf, prefix: string): void => {
    const width = Math.max(30 - prefix.length, 0);
    io.out(`${prefix} ${leaf.name.padEnd(width)} ${localTime(leaf.time).padEnd(23)} ${leaf.description}\n`);
    for (const child of leaves.filter((l) => l.parent === leaf.name).sort(byTime)) print(child, ` ${prefix}`);
  };
  for (const root of leaves.filter((l) => l.parent === undefined || !known.has(l.parent)).sort(byTime))
    print(root, '`->');
}

function leafOf(name: string, values: ReadonlyMap<string, string>): Leaf {
  const lines = (values.get('description') ?? '').split('\n').filter((line) => line !== '');
  const parent = values.get('parent');
  return {
    name,
    time: Number(values.get('snaptime') ?? 0),
    description: lines[0] ?? 'no-description',
    ...(parent === undefined ? {} : { parent }),
  };
}

function localTime(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  const t = new Date(seconds * 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}
