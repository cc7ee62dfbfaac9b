/** snapshot, delsnapshot, rollback, listsnapshot of VMs (pve-guest-common src/PVE/AbstractConfig.pm with QemuConfig.pm). */

import { ToolError } from '../call/tool.ts';
import type { Task } from '../cluster/task.ts';
import { publishStopped } from '../host/running.ts';
import { exit, isRunning, taskOf, text, type Verb } from '../pct/context.ts';
import { printSnapshotTree } from '../pct/snapshot.ts';
import { requireNewestSnapshot } from '../storage/storages.ts';
import { disksOf, type VmConfig } from '../text/vm-config.ts';
import { backed, editVm, isTemplate, loadVm, requireUnlocked, tell } from './vm.ts';

type Section = Map<string, string>;

const NOT_COPIED = /^(?:snapstate|snaptime|vmstate|lock|description|digest|unused\d+)$/;

function copyOf(section: ReadonlyMap<string, string>): Section {
  return new Map([...section].filter(([key]) => !NOT_COPIED.test(key)));
}

async function eachVolume(
  verb: Verb,
  section: ReadonlyMap<string, string>,
  step: (volume: Awaited<ReturnType<typeof backed>>, volid: string) => Promise<void>,
): Promise<void> {
  for (const { volume } of disksOf(section)) await step(await backed(verb.host, volume), volume);
}

function sectionOf(config: VmConfig, name: string): Section {
  const section = config.snapshots.get(name);
  if (section === undefined) throw new ToolError(`snapshot '${name}' does not exist\n`);
  return section;
}

export async function snapshot(verb: Verb): Promise<number> {
  const name = text(verb, 'snapname') ?? '';
  if (name === 'current' || name === 'pending')
    throw new ToolError(`unable to use snapshot name '${name}' (reserved name)\n`);
  const end = await taskOf(verb, 'qmsnapshot', async (task) => {
    tell(verb, `snapshot VM ${verb.vmid}: ${name}`);
    await editVm(verb, task, (config) => prepare(verb, config, name));
    const section = sectionOf(loadVm(verb.host, verb.vmid), name);
    await eachVolume(verb, section, (volume) => volume.backend.snapshot(volume, name));
    await editVm(verb, task, (config) => {
      sectionOf(config, name).delete('snapstate');
      config.values.delete('lock');
      config.values.set('parent', name);
    });
  });
  return exit(end);
}

async function prepare(verb: Verb, config: VmConfig, name: string): Promise<void> {
  if (isTemplate(config)) throw new ToolError("you can't take a snapshot if it's a template\n");
  requireUnlocked(config);
  if (config.snapshots.has(name)) throw new ToolError(`snapshot name '${name}' already used\n`);
  await eachVolume(verb, config.values, async ({ backend, storage, volname }) => {
    if (!backend.canSnapshot(storage, volname)) throw new ToolError('snapshot feature is not available\n');
  });
  const taken = copyOf(config.values);
  taken.set('snapstate', 'prepare');
  taken.set('snaptime', String(Math.floor(Date.now() / 1000)));
  const description = text(verb, 'description') ?? '';
  if (description !== '') taken.set('description', description);
  config.snapshots.set(name, taken);
  config.values.set('lock', 'snapshot');
}

export async function delsnapshot(verb: Verb): Promise<number> {
  const name = text(verb, 'snapname') ?? '';
  const end = await taskOf(verb, 'qmdelsnapshot', async (task) => {
    tell(verb, `delete snapshot VM ${verb.vmid}: ${name}`);
    await editVm(verb, task, (config) => {
      requireUnlocked(config);
      sectionOf(config, name).set('snapstate', 'delete');
      config.values.set('lock', 'snapshot-delete');
    });
    const section = sectionOf(loadVm(verb.host, verb.vmid), name);
    await eachVolume(verb, section, (volume) => volume.backend.deleteSnapshot(volume, name));
    await editVm(verb, task, (config) => drop(config, name));
  });
  return exit(end);
}

/** What hung on the snapshot hangs on its parent from now on. */
function drop(config: VmConfig, name: string): void {
  const parent = sectionOf(config, name).get('parent');
  for (const holder of [config.values, ...config.snapshots.values()]) {
    if (holder.get('parent') !== name) continue;
    if (parent === undefined) holder.delete('parent');
    else holder.set('parent', parent);
  }
  config.snapshots.delete(name);
  config.values.delete('lock');
}

export async function rollback(verb: Verb): Promise<number> {
  const name = text(verb, 'snapname') ?? '';
  const end = await taskOf(verb, 'qmrollback', (task) => goBack(verb, task, name));
  return exit(end);
}

async function goBack(verb: Verb, task: Task, name: string): Promise<void> {
  tell(verb, `rollback snapshot VM ${verb.vmid}: ${name}`);
  await editVm(verb, task, async (config) => {
    if (isTemplate(config)) throw new ToolError("you can't rollback if vm is a template\n");
    const section = sectionOf(config, name);
    await eachVolume(verb, section, (volume) => requireNewestSnapshot(volume, name));
    requireUnlocked(config);
    if (isRunning(verb)) publishStopped(verb.host, verb.vmid);
    config.values.set('lock', 'rollback');
  });
  const section = sectionOf(loadVm(verb.host, verb.vmid), name);
  await eachVolume(verb, section, (volume) => volume.backend.rollback(volume, name));
  await editVm(verb, task, (config) => {
    const kept = [...config.values].filter(([key]) => /^unused\d+$/.test(key) || key === 'description');
    config.values.clear();
    for (const [key, value] of [...kept, ...copyOf(section)]) config.values.set(key, value);
    config.values.set('parent', name);
    config.pending.clear();
  });
}

export async function listsnapshot(verb: Verb): Promise<number> {
  const { values, snapshots } = loadVm(verb.host, verb.vmid);
  printSnapshotTree(verb.io, snapshots, values.get('parent'));
  return 0;
}
