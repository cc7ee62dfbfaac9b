/** resize, move-volume between containers, mount and unmount (pve-container src/PVE/API2/LXC.pm, src/PVE/CLI/pct.pm). */
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import type { GuestConfig } from '../config-text.ts';
import { applyChange } from '../guest/change.ts';
import { loadConfig, requireUnlocked, storeConfig, withGuestLock } from '../guest/config-store.ts';
import { resolveMounts } from '../guest/disks.ts';
import { type MountPoint, parseMountPoint, printMountPoint, isVolumeInUse } from '../guest/mount-point.ts';
import { findGuest } from '../pmxcfs.ts';
import { runningGuest } from '../running.ts';
import { parseSize } from '../size.ts';
import { parameterError } from '../schema/command.ts';
import { findVolume, volumeBackend } from '../storages.ts';
import { runTask, type Task } from '../task.ts';
import { ToolError } from '../tool.ts';
import { atPoint, exit, isRunning, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';

interface Resize {
  readonly config: GuestConfig;
  readonly point: MountPoint;
  readonly bytes: number;
}

/** Exits 0 although its task failed; checks before the task still give a status. */
export async function resize(verb: Verb): Promise<number> {
  await checkedResize(verb, verb.io.err);
  await taskOf(verb, 'resize', (task) =>
    lockedInTask(verb, task, async () => {
      const { config, point, bytes } = await checkedResize(verb, task.log);
      const { storage, volname, parsed } = findVolume(verb.host, point.volume);
      if (parsed.format === 'subvol' && storage.type === 'dir') throw new ToolError("can't resize this image format\n");
      await (await volumeBackend(storage)).resize(verb.host, storage, volname, bytes);
      if (parsed.format === 'raw') task.log('Image resized.\n');
      config.values.set(point.key, printMountPoint(point.key, { ...point.values, size: String(bytes) }));
      storeConfig(verb.host, verb.vmid, config);
    }),
  );
  return 0;
}

async function checkedResize(verb: Verb, warn: (line: string) => void): Promise<Resize> {
  const { host, vmid } = verb;
  const config = loadConfig(host, vmid, warn);
  requireUnlocked(config);
  requireDigest(text(verb, 'digest'), config, '');
  const key = text(verb, 'disk') ?? '';
  const point = parseMountPoint(key, config.values.get(key) ?? '');
  const { storage, volname, parsed } = findVolume(host, point.volume);
  if (parsed.vmid !== vmid) throw new ToolError(`can't resize mount point owned by another container (${parsed.vmid ?? ''})\n`);
  const given = text(verb, 'size') ?? '';
  const current = await (await volumeBackend(storage)).sizeBytes(host, storage, volname);
  const asked = parseSize(given.replace(/^\+/, '')) ?? 0;
  const bytes = given.startsWith('+') ? current + asked : asked;
  if (bytes < current) throw new ToolError('unable to shrink disk size\n');
  if (bytes === current) throw new ToolError('disk is already at specified size\n');
  return { config, point, bytes };
}

function requireDigest(digest: string | undefined, config: GuestConfig, prefix: string): void {
  if (digest === undefined || digest === '' || digest === config.digest) return;
  throw new ToolError(`${prefix}detected modified configuration - file changed by other user? Try again.\n`);
}

export async function moveVolume(verb: Verb): Promise<number> {
  const target = text(verb, 'target-vmid');
  const storage = text(verb, 'storage');
  if (target !== undefined && storage !== undefined) throw new ToolError('either set storage or target-vmid, but not both\n');
  if (target === undefined && storage === undefined) {
    const reason = "both 'storage' and 'target-vmid' missing, either needs to be set";
    throw parameterError(verb.call, { 'target-vmid': reason, storage: reason });
  }
  if (target === undefined) throw new ToolError('moving a volume to another storage is not part of this stand-in\n');
  const from = text(verb, 'volume') ?? '';
  const to = { vmid: Number(target), key: text(verb, 'target-volume') ?? from };
  checkedMove(verb, from, to);
  const id = `${verb.vmid}-${from}>${to.vmid}-${to.key}`;
  const end = await runTask(verb.host, verb.io, { type: 'move_volume', id, tool: verb.tool }, (task) =>
    lockedInTask(verb, task, () => lockedTarget(verb, task, to.vmid, () => reassign(verb, task, { from, to }))),
  );
  return exit(end);
}

function lockedTarget(verb: Verb, task: Task, vmid: number, section: () => Promise<void>): Promise<void> {
  if (vmid === verb.vmid) return section();
  return withGuestLock({ host: verb.host, vmid, say: task.log, signal: task.signal, death: verb.io.death?.signal, isInTask: true }, section);
}

interface Target {
  readonly vmid: number;
  readonly key: string;
}

function checkedMove(verb: Verb, from: string, to: Target): { source: GuestConfig; target: GuestConfig; point: MountPoint } {
  const { host, vmid, io } = verb;
  const refuse = (reason: string): never => {
    throw new ToolError(`${reason}\n`);
  };
  if (from === 'rootfs' || to.key === 'rootfs') refuse("Cannot move to/from 'rootfs'");
  if (from.startsWith('unused') && !to.key.startsWith('unused')) refuse('Moving an unused volume to a used one is not possible');
  const nodes = [vmid, to.vmid].map((id) => findGuest(host, id)?.node ?? refuse(`could not find CT ${id}`));
  if (nodes[0] !== nodes[1]) refuse(`Both containers need to be on the same node (${nodes[0] ?? ''} != ${nodes[1] ?? ''})`);
  const source = loadConfig(host, vmid, io.err);
  requireUnlocked(source);
  const target = to.vmid === vmid ? source : loadConfig(host, to.vmid, io.err);
  requireUnlocked(target);
  if (source.values.get('template') === '1' || target.values.get('template') === '1') refuse("Can't move volumes from or to template CT");
  requireDigest(text(verb, 'digest'), source, `Container ${vmid}: `);
  requireDigest(text(verb, 'target-digest'), target, `Container ${to.vmid}: `);
  const value = source.values.get(from) ?? refuse(`volume '${from}' for container '${vmid}' does not exist`);
  if (target.values.has(to.key)) refuse(`Target volume key '${to.key}' is already in use for container '${to.vmid}'`);
  const point = parseMountPoint(from, value);
  if ([...source.snapshots.values()].some((s) => isVolumeInUse({ ...s, pending: s, snapshots: new Map() }, point.volume))) refuse('Cannot move volume used by a snapshot to another container');
  if (point.kind !== 'volume') refuse('Cannot move a bindmount or device mount to another container');
  const { parsed, storage } = findVolume(host, point.volume);
  if (storage.type === 'dir' && parsed.format === 'subvol') refuse('Storage does not support moving of this disk to another container');
  if (isRunning(verb) && !from.startsWith('unused')) refuse('Cannot move in-use volume while the source CT is running - detach or shutdown first');
  return { source, target, point };
}

async function reassign(verb: Verb, task: Task, move: { from: string; to: Target }): Promise<void> {
  const { host, vmid } = verb;
  const { from, to } = move;
  const { source, target, point } = checkedMove(verb, from, to);
  task.log(`moving volume '${from}' from container '${vmid}' to '${to.vmid}'\n`);
  const { storage, volname } = findVolume(host, point.volume);
  const renamed = await (await volumeBackend(storage)).rename(host, storage, volname, to.vmid);
  const volid = `${storage.id}:${renamed}`;
  await atPoint(verb, 'after-volume');
  source.values.delete(from);
  task.log(`removing volume '${from}' from container '${vmid}' config\n`);
  storeConfig(host, vmid, source);
  await atPoint(verb, 'between-configs');
  const value = to.key.startsWith('unused') ? volid : printMountPoint(to.key, { ...point.values, volume: volid });
  if (to.key.startsWith('unused')) target.values.set(to.key, value);
  else {
    const change = { host, vmid: to.vmid, values: new Map([[to.key, value]]), remove: [], revert: [], isRunning: runningGuest(host, to.vmid) !== undefined };
    const errors = await applyChange(target, { ...change, log: task.log, warn: task.log });
    for (const reason of Object.values(errors)) task.warn(reason.trimEnd());
  }
  storeConfig(host, to.vmid, target);
  task.log(`target container '${to.vmid}' updated with '${to.key}'\n`);
}

/** The root directory is shown at its upstream place by a link; mount points inside it are not. */
export async function mount(verb: Verb): Promise<number> {
  const { host, vmid, io } = verb;
  await locked(verb, async () => {
    const config = loadConfig(host, vmid, io.err);
    requireUnlocked(config);
    config.values.set('lock', 'mounted');
    storeConfig(host, vmid, config);
    const [root] = await resolveMounts(host, config);
    mkdirSync(host.path(`/var/lib/lxc/${vmid}`), { recursive: true });
    const shown = host.path(`/var/lib/lxc/${vmid}/rootfs`);
    if (root !== undefined && !existsSync(shown)) symlinkSync(root.source, shown);
  });
  io.out(`mounted CT ${vmid} in '/var/lib/lxc/${vmid}/rootfs'\n`);
  return 0;
}

export async function unmount(verb: Verb): Promise<number> {
  const { host, vmid, io } = verb;
  await locked(verb, async () => {
    const config = loadConfig(host, vmid, io.err);
    const lock = config.values.get('lock') ?? '';
    if (lock === '') throw new ToolError("no lock found trying to remove 'mounted'  lock\n");
    if (lock !== 'mounted') throw new ToolError(`found lock '${lock}' trying to remove 'mounted' lock\n`);
    rmSync(host.path(`/var/lib/lxc/${vmid}/rootfs`), { force: true });
    config.values.delete('lock');
    storeConfig(host, vmid, config);
  });
  return 0;
}
