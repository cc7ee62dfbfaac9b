/**
 * qm/: one file per group of `qm`'s sub-commands (qemu-server src/PVE/API2/Qemu.pm). VMs are config files with volumes
 * and a running mark; none really runs.
 */
import { createHash } from 'node:crypto';
import { deathSignal } from '../call/call.ts';
import { withFileLock } from '../call/file-lock.ts';
import { ToolError } from '../call/tool.ts';
import { clusterLog, guestFile, readPveFile, writePveFile } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import type { Host } from '../host/host.ts';
import type { Verb } from '../pct/context.ts';
import { enabledStorage, findVolume, volumeBackend } from '../storage/storages.ts';
import type { VolumeAt, VolumeBackend } from '../storage/volumes.ts';
import { disksOf, parseVmConfig, printVmConfig, type VmConfig } from '../text/vm-config.ts';

export function vmPath(host: Host, vmid: number): string {
  return guestFile(host.name, 'qemu', vmid);
}

export function loadVm(host: Host, vmid: number): VmConfig {
  const path = vmPath(host, vmid);
  const text = readPveFile(host, path);
  if (text === undefined) throw new ToolError(`Configuration file '${path}' does not exist\n`, 2);
  return parseVmConfig(text);
}

/** `unusedN` entries of volumes that are drives again are dropped, as upstream's writer does. */
export function storeVm(host: Host, at: { vmid: number; steps?: number; isNew?: boolean }, config: VmConfig): void {
  const used = new Set(disksOf(config.values).map(({ volume }) => volume));
  for (const [key, value] of config.values) if (/^unused\d+$/.test(key) && used.has(value)) config.values.delete(key);
  writePveFile(host, {
    path: vmPath(host, at.vmid),
    text: printVmConfig(config),
    steps: at.steps ?? 1,
    ...(at.isNew === true ? { isNew: true } : {}),
  });
}

export function requireUnlocked(config: VmConfig): void {
  const lock = config.values.get('lock') ?? '';
  if (lock !== '') throw new ToolError(`VM is locked (${lock})\n`);
}

export function requireUnprotected(config: VmConfig, text: string): void {
  if (config.values.get('protection') === '1') throw new ToolError(`${text} - protection mode enabled\n`);
}

export function isTemplate(config: VmConfig): boolean {
  return config.values.get('template') === '1';
}

/** The config's flock; inside a task the waiting is told on its output. */
export function lockedVm<T>(verb: Verb, task: Task | undefined, section: () => Promise<T>): Promise<T> {
  const { host, vmid, io } = verb;
  return withFileLock(
    {
      host,
      path: `/var/lock/qemu-server/lock-${vmid}.conf`,
      waitMs: 10_000,
      say: task?.log ?? io.err,
      signal: task?.signal ?? io.signal,
      death: deathSignal(io),
      timeoutStatus: task === undefined ? 4 : 255,
    },
    section,
  );
}

/** Load, change and store under the lock. */
export function editVm(verb: Verb, task: Task, change: (config: VmConfig) => void | Promise<void>): Promise<void> {
  return lockedVm(verb, task, async () => {
    const config = loadVm(verb.host, verb.vmid);
    await change(config);
    storeVm(verb.host, verb, config);
  });
}

export function tell(verb: Verb, msg: string): void {
  clusterLog(verb.host, { tag: verb.tool, pid: verb.io.worker?.pid ?? process.pid, user: 'root@pam', msg });
}

export async function backed(host: Host, volid: string): Promise<VolumeAt & { backend: VolumeBackend }> {
  const { storage, volname } = findVolume(host, volid);
  return { host, storage, volname, backend: await volumeBackend(storage) };
}

/** The same, for use: it is there, on a storage that is on. */
export async function usable(host: Host, volid: string): Promise<VolumeAt & { backend: VolumeBackend }> {
  const found = await backed(host, volid);
  enabledStorage(host, found.storage.id);
  if (!(await found.backend.exists(found)))
    throw new ToolError(found.backend.missingText?.(found) ?? `volume '${volid}' does not exist\n`);
  return found;
}

/** As the host draws it: the same for the same use of the same VM. */
export function uuid(verb: Verb, what: string): string {
  const hex = createHash('sha256')
    .update(verb.host.draw(`${what} ${verb.vmid}`, 16))
    .digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
