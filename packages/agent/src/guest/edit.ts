import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { diskError } from '@pxmgr/kit/error/disk-error';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import { Cluster } from '../host/cluster.ts';
import { type HostPaths, isAbsent, isDenied } from '../host/paths.ts';
import { commandError } from '../host/stderr-map.ts';
import { type GuestConfig, parseGuestConfig, printGuestConfig } from './config-file.ts';
import { guestConfigPath } from './guest-list.ts';

/**
 * The edit primitive: changes a container's configuration under the lock that `pct` itself takes
 * (proxmox/pve-guest-common src/PVE/AbstractConfig.pm lock_config). Node.js has no flock call: the lock file is opened
 * here and handed to flock(1) as descriptor 3; the lock belongs to the open file, so it stays ours after that program
 * has ended and goes when we close the file, or die.
 */
export interface EditParts {
  readonly paths: HostPaths;
  readonly node: string;
  /** Runs flock(1); an operation's `run`, so that the wait can be cancelled. */
  readonly run: (command: Command) => Promise<CommandResult>;
}

export interface EditRequest {
  readonly vmid: number;
  /** Changes the configuration in place. */
  readonly change: (config: GuestConfig) => void;
  /** Looks at what is there under the lock, and throws to refuse. */
  readonly guard?: (config: GuestConfig) => void;
  /** sha1 of the bytes the caller decided on; PXM_CONFIG_DIGEST_CHANGED when they differ now. */
  readonly digest?: string;
}

const WAIT_SECONDS = 10;

/** Where Proxmox locks a container's configuration (proxmox/pve-container src/PVE/LXC/Config.pm). */
function lockPath(vmid: number): string {
  return `/run/lock/lxc/pve-config-${vmid}.lock`;
}

/**
 * Errors: PXM_LOCK_TIMEOUT, PXM_GUEST_NOT_FOUND, PXM_GUEST_LOCKED, PXM_CONFIG_DIGEST_CHANGED, PXM_NO_QUORUM. Gives the new text;
 * nothing is written when nothing changed. The caller makes sure that the container is down or that the keys may
 * change while it runs.
 */
export async function editConfig(parts: EditParts, request: EditRequest): Promise<string> {
  const { paths, node } = parts;
  const lock = paths.at(lockPath(request.vmid));
  await mkdir(dirname(lock), { recursive: true });
  const fd = openSync(lock, 'a', 0o644);
  try {
    await takeLock(parts, request.vmid, fd);
    const path = guestConfigPath(node, 'container', request.vmid);
    const before = readConfig(parts, request.vmid);
    if (request.digest !== undefined && configDigest(before) !== request.digest) {
      throw new PxmError('PXM_CONFIG_DIGEST_CHANGED', { vmid: String(request.vmid) });
    }
    const config = parseGuestConfig(before);
    const held = config.entries.get('lock');
    if (held !== undefined) throw new PxmError('PXM_GUEST_LOCKED', { vmid: String(request.vmid), node, lock: held });
    request.guard?.(config);
    request.change(config);
    const after = printGuestConfig(config);
    if (after !== before) await replaceFile(parts, paths.at(path), after);
    return after;
  } finally {
    closeSync(fd);
  }
}

/** sha1 of the bytes, as Proxmox computes `digest`. */
export function configDigest(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

/** Half-written files of a killed agent; nothing lists them. `pid` = ours is left alone. Errors: PXM_NO_QUORUM. */
export async function removeStaleEdits(paths: HostPaths, node: string): Promise<string[]> {
  const folder = dirname(paths.at(guestConfigPath(node, 'container', 100)));
  const removed: string[] = [];
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    const pid = /^\d+\.conf\.tmp\.pxmgr-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || Number(pid) === process.pid) continue;
    new Cluster(paths, node).requireQuorum();
    await rm(`${folder}/${name}`, { force: true });
    removed.push(name);
  }
  return removed;
}

async function takeLock(parts: EditParts, vmid: number, fd: number): Promise<void> {
  const result = await parts.run({
    file: 'flock',
    args: ['-w', String(WAIT_SECONDS), '3'],
    purpose: `lock the configuration of container ${vmid}`,
    timeoutMs: (WAIT_SECONDS + 5) * 1000,
    killGraceMs: 1000,
    extraFds: [fd],
    readOnly: true,
  });
  if (result.exitCode === 0) return;
  // flock(1) ends with 1 when the time is over.
  if (result.exitCode === 1)
    throw new PxmError('PXM_LOCK_TIMEOUT', { lock: lockPath(vmid), seconds: String(WAIT_SECONDS) });
  throw commandError(result, { vmid: String(vmid), node: parts.node });
}

function readConfig({ paths, node }: EditParts, vmid: number): string {
  try {
    return paths.read(guestConfigPath(node, 'container', vmid));
  } catch (error) {
    if (isAbsent(error))
      throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: String(vmid), where: ` on ${node}` }, { cause: error });
    throw error;
  }
}

/** pmxcfs renames atomically; the temporary name carries our mark, so that a later start may remove it. */
async function replaceFile({ paths, node }: EditParts, path: string, text: string): Promise<void> {
  const cluster = new Cluster(paths, node);
  cluster.requireQuorum();
  const temporary = `${path}.tmp.pxmgr-${process.pid}`;
  try {
    const file = await open(temporary, 'w', 0o640);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    // A node that is cut off notices it seconds later; until then a write blocks, and then it is denied to root as well.
    if (isDenied(error)) throw new PxmError('PXM_NO_QUORUM', { node }, { cause: error });
    throw diskError(error, path) ?? error;
  }
}
