/** move-volume to another container: a rename on the storage and two configs (pve-container src/PVE/API2/LXC.pm move_volume). */
import { deathSignal } from '../call/call.ts';
import { ToolError } from '../call/tool.ts';
import { findGuest, syncCluster } from '../cluster/pmxcfs.ts';
import { runTask, type Task } from '../cluster/task.ts';
import { applyChange, hasTemplateMark } from '../guest/change.ts';
import { loadConfig, requireUnlocked, storeConfig, withGuestLock } from '../guest/config-store.ts';
import { requireLxcConfig } from '../guest/lxc-config.ts';
import { type MountPoint, parseMountPoint, printMountPoint, usedVolumes } from '../guest/mount-point.ts';
import { runningGuest } from '../host/running.ts';
import { parameterError } from '../schema/command.ts';
import { findVolume, volumeBackend } from '../storage/storages.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { atPoint, exit, isRunning, lockedInTask, text, type Verb } from './context.ts';
import { moveToStorage } from './move-storage.ts';
import { requireDigest } from './volume.ts';

export async function moveVolume(verb: Verb): Promise<number> {
  const target = text(verb, 'target-vmid');
  const storage = text(verb, 'storage');
  if (target !== undefined && storage !== undefined)
    throw new ToolError('either set storage or target-vmid, but not both\n');
  if (target === undefined && storage === undefined) {
    const reason = "both 'storage' and 'target-vmid' missing, either needs to be set";
    throw parameterError(verb.call, { 'target-vmid': reason, storage: reason });
  }
  if (target === undefined) return moveToStorage(verb, storage ?? '');
  const from = text(verb, 'volume') ?? '';
  const to = { vmid: Number(target), key: text(verb, 'target-volume') ?? from };
  checkedMove(verb, from, to);
  const id = `${verb.vmid}-${from}>${to.vmid}-${to.key}`;
  const end = await runTask(verb, { type: 'move_volume', id, tool: verb.tool }, (task) =>
    lockedInTask(verb, task, () => lockTarget({ verb, task, vmid: to.vmid }, () => reassign(verb, task, { from, to }))),
  );
  return exit(end);
}

interface TargetLock {
  readonly verb: Verb;
  readonly task: Task;
  readonly vmid: number;
}

function lockTarget({ verb, task, vmid }: TargetLock, section: () => Promise<void>): Promise<void> {
  if (vmid === verb.vmid) return section();
  const { host, io } = verb;
  return withGuestLock(
    { host, vmid, say: task.log, signal: task.signal, death: deathSignal(io), isInTask: true },
    section,
  );
}

interface Target {
  readonly vmid: number;
  readonly key: string;
}

interface Move {
  readonly source: GuestConfig;
  readonly target: GuestConfig;
  readonly point: MountPoint;
}

function refuse(reason: string): never {
  throw new ToolError(`${reason}\n`);
}

/** All of upstream's refusals, in its order; checked before the task and again under the locks. */
function checkedMove(verb: Verb, from: string, to: Target): Move {
  const { host, vmid, io } = verb;
  checkKeys(from, to.key);
  syncCluster(host);
  const nodes = [vmid, to.vmid].map((id) => findGuest(host, id)?.node ?? refuse(`could not find CT ${id}`));
  if (nodes[0] !== nodes[1])
    refuse(`Both containers need to be on the same node (${nodes[0] ?? ''} != ${nodes[1] ?? ''})`);
  const source = loadConfig(host, vmid, io.err);
  requireUnlocked(source);
  const target = to.vmid === vmid ? source : loadConfig(host, to.vmid, io.err);
  requireUnlocked(target);
  if (hasTemplateMark(source) || hasTemplateMark(target)) refuse("Can't move volumes from or to template CT");
  requireDigest(text(verb, 'digest'), source, `Container ${vmid}: `);
  requireDigest(text(verb, 'target-digest'), target, `Container ${to.vmid}: `);
  const value = source.values.get(from) ?? refuse(`volume '${from}' for container '${vmid}' does not exist`);
  if (target.values.has(to.key)) refuse(`Target volume key '${to.key}' is already in use for container '${to.vmid}'`);
  const point = parseMountPoint(from, value);
  checkVolume(verb, source, point);
  return { source, target, point };
}

function checkKeys(from: string, to: string): void {
  if (from === 'rootfs' || to === 'rootfs') refuse("Cannot move to/from 'rootfs'");
  if (from.startsWith('unused') && !to.startsWith('unused'))
    refuse('Moving an unused volume to a used one is not possible');
}

function checkVolume(verb: Verb, source: GuestConfig, point: MountPoint): void {
  const isInSnapshot = [...source.snapshots.values()].some((section) => usedVolumes(section).includes(point.volume));
  if (isInSnapshot) refuse('Cannot move volume used by a snapshot to another container');
  // A path has no storage that could rename it, and so its own refusal is never reached.
  const isMovable = point.kind === 'volume' && canRename(verb, point.volume);
  if (!isMovable) refuse('Storage does not support moving of this disk to another container');
  const isUsed = !point.key.startsWith('unused');
  if (isRunning(verb) && isUsed)
    refuse('Cannot move in-use volume while the source CT is running - detach or shutdown first');
}

/** Feature `rename` of the storage types (pve-storage, volume_has_feature): no base volume, and no directory of a `dir` storage. */
function canRename(verb: Verb, volid: string): boolean {
  const { parsed, storage } = findVolume(verb.host, volid);
  return !parsed.isBase && (storage.type === 'zfspool' || parsed.format !== 'subvol');
}

async function reassign(verb: Verb, task: Task, move: { from: string; to: Target }): Promise<void> {
  const { host, vmid } = verb;
  const { from, to } = move;
  const { source, target, point } = checkedMove(verb, from, to);
  task.log(`moving volume '${from}' from container '${vmid}' to '${to.vmid}'\n`);
  const { storage, volname } = findVolume(host, point.volume);
  const renamed = await (await volumeBackend(storage)).rename({ host, storage, volname }, to.vmid);
  const volid = `${storage.id}:${renamed}`;
  await atPoint(verb, 'after-volume');
  source.values.delete(from);
  task.log(`removing volume '${from}' from container '${vmid}' config\n`);
  storeConfig(host, vmid, source);
  await atPoint(verb, 'between-configs');
  const value = to.key.startsWith('unused') ? volid : printMountPoint(to.key, { ...point.values, volume: volid });
  if (to.key.startsWith('unused')) target.values.set(to.key, value);
  else {
    const change = {
      host,
      vmid: to.vmid,
      values: new Map([[to.key, value]]),
      remove: [],
      revert: [],
      isRunning: runningGuest(host, to.vmid) !== undefined,
    };
    const errors = await applyChange(target, { ...change, log: task.log, warn: task.log });
    for (const reason of Object.values(errors)) task.warn(reason.trimEnd());
  }
  storeConfig(host, to.vmid, target);
  if (!to.key.startsWith('unused')) requireLxcConfig(host, target);
  task.log(`target container '${to.vmid}' updated with '${to.key}'\n`);
}
