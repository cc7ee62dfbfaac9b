/** fstrim, df, fsck, cpusets, console, suspend, resume (pve-container src/PVE/CLI/pct.pm). No block device is behind a volume, so counts are played. */
import { lstatSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { ToolError } from '../call/tool.ts';
import { findGuest } from '../cluster/pmxcfs.ts';
import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { type MountPoint, mountPoints, parseMountPoint } from '../guest/mount-point.ts';
import type { Host } from '../host/host.ts';
import { runningGuests } from '../host/running.ts';
import { ext4Space } from '../storage/ext4.ts';
import { findVolume, volumeBackend, volumeDirectory, volumePath } from '../storage/storages.ts';
import type { SpaceRow } from '../storage/volumes.ts';
import { parseSize } from '../text/size.ts';
import { exit, flag, isRunning, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';

/** The guest's config carries the lock while upstream mounts it. */
async function mountedFor(verb: Verb): Promise<void> {
  await locked(verb, async () => {
    const config = loadConfig(verb.host, verb.vmid, verb.io.err);
    requireUnlocked(config);
    config.values.set('lock', 'mounted');
    storeConfig(verb.host, verb.vmid, config);
    config.values.delete('lock');
    storeConfig(verb.host, verb.vmid, config);
  });
}

/** Bind mounts and read-only mount points are passed over, a file system without discard only says so. */
export async function fstrim(verb: Verb): Promise<number> {
  await mountedFor(verb);
  const config = loadConfig(verb.host, verb.vmid, () => undefined);
  for (const point of mountPoints(config)) {
    if (point.kind === 'bind' || point.values['ro'] === '1') continue;
    if (flag(verb, 'ignore-mountpoints') && point.key !== 'rootfs') continue;
    const path = `/var/lib/lxc/${verb.vmid}/rootfs${point.target}`;
    if (point.kind === 'volume' && findVolume(verb.host, point.volume).parsed.format === 'subvol')
      verb.io.err(`fstrim: ${path}: the discard operation is not supported\n`);
    else verb.io.out(`${path}: 0 B (0 bytes) trimmed\n`);
  }
  return 0;
}

export async function df(verb: Verb): Promise<number> {
  if (findGuest(verb.host, verb.vmid) === undefined) verb.io.err(`${verb.vmid} doesn't exist\n`);
  const config = loadConfig(verb.host, verb.vmid, verb.io.err);
  requireUnlocked(config);
  if (!isRunning(verb)) await mountedFor(verb);
  const rows = [['MP', 'Volume', 'Size', 'Used', 'Avail', 'Use%', 'Path']];
  for (const point of mountPoints(config)) rows.push(await spaceRow(verb.host, point));
  const widths = rows[0]?.map((_, n) => Math.max(...rows.map((row) => row[n]?.length ?? 0))) ?? [];
  for (const row of rows)
    verb.io.out(
      `${row
        .map((word, n) => (n === 6 ? word : n < 2 ? word.padEnd(widths[n] ?? 0) : word.padStart(widths[n] ?? 0)))
        .join(' ')}\n`,
    );
  return 0;
}

async function spaceRow(host: Host, point: MountPoint): Promise<string[]> {
  const { totalBytes, usedBytes, availableBytes } =
    point.kind === 'volume' ? await volumeSpace(host, point.volume) : pathSpace(host.path(point.volume));
  const sizes = [totalBytes, usedBytes, availableBytes].map(shortSize);
  return [point.key, point.volume, ...sizes, ((100 * usedBytes) / totalBytes).toFixed(1), point.target];
}

/** A volume without a limit has the space of what it lies on. */
async function volumeSpace(host: Host, volid: string): Promise<SpaceRow> {
  const { storage, volname, parsed } = findVolume(host, volid);
  const backend = await volumeBackend(storage);
  const bytes = await backend.sizeBytes({ host, storage, volname });
  const used = sizeOfTree(await backend.directory({ host, storage, volname }));
  if (bytes === 0) {
    const space = await backend.space(host, storage);
    if (storage.type === 'dir') return space;
    return { totalBytes: space.availableBytes + used, usedBytes: used, availableBytes: space.availableBytes };
  }
  const { totalBytes, keptBytes } = parsed.format === 'raw' ? ext4Space(bytes) : { totalBytes: bytes, keptBytes: 0 };
  return { totalBytes, usedBytes: used, availableBytes: totalBytes - used - keptBytes };
}

function pathSpace(path: string): SpaceRow {
  const { blocks, bfree, bavail, bsize } = statfsSync(path);
  return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, availableBytes: bavail * bsize };
}

const UNITS = ['', 'K', 'M', 'G', 'T'] as const;

function shortSize(bytes: number): string {
  if (bytes < 1024) return String(bytes);
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  return `${(bytes / 1024 ** power).toFixed(1)}${UNITS[power] ?? ''}`;
}

function sizeOfTree(path: string): number {
  const stat = lstatSync(path);
  const inner = stat.isDirectory() ? readdirSync(path).map((name) => sizeOfTree(join(path, name))) : [];
  return inner.reduce((sum, bytes) => sum + bytes, stat.blocks * 512);
}

export async function fsck(verb: Verb): Promise<number> {
  await locked(verb, async () => {
    const point = checkable(verb);
    await volumeDirectory(verb.host, point.volume);
    const blocks = Math.floor((parseSize(point.values['size'] ?? '') ?? 0) / 1024);
    const path = await volumePath(verb.host, point.volume);
    const counts = flag(verb, 'force')
      ? `${path}: 11/${Math.floor(blocks / 4)} files (0.0% non-contiguous), ${Math.floor(blocks / 16)}/${blocks} blocks`
      : `${path}: clean, 11/${Math.floor(blocks / 4)} files, ${Math.floor(blocks / 16)}/${blocks} blocks`;
    verb.io.out(`fsck from util-linux 2.41.5\n${counts}\n`);
  });
  return 0;
}

/** The volume to check, or why it cannot be. */
function checkable(verb: Verb): MountPoint {
  const config = loadConfig(verb.host, verb.vmid, verb.io.err);
  const key = text(verb, 'device') ?? 'rootfs';
  const value = config.values.get(key);
  if (value === undefined) throw new ToolError(`cannot run command on non-existing mount point ${key}\n`);
  const point = parseMountPoint(key, value);
  if (isRunning(verb)) throw new ToolError('cannot run fsck when container is running\n');
  if (point.kind !== 'volume') throw new ToolError(`path '${point.volume}' does not point to a block device\n`);
  const { format } = findVolume(verb.host, point.volume).parsed;
  if (format !== 'raw') throw new ToolError(`unable to run fsck for '${point.volume}' (format == ${format})\n`);
  return point;
}

export async function suspend(verb: Verb): Promise<number> {
  if (!isRunning(verb)) throw new ToolError(`CT ${verb.vmid} not running\n`);
  const end = await taskOf(verb, 'vzsuspend', (task) =>
    lockedInTask(verb, task, async () => {
      requireUnlocked(loadConfig(verb.host, verb.vmid, task.log));
      throw new ToolError('checkpoints are not part of this stand-in\n');
    }),
  );
  return exit(end);
}

/** Nothing can be resumed here, so what is missing is told as lxc-checkpoint tells it. */
export async function resume(verb: Verb): Promise<number> {
  const { host, vmid } = verb;
  if (isRunning(verb)) throw new ToolError(`CT ${vmid} already running\n`);
  const end = await taskOf(verb, 'vzresume', async (task) => {
    const isDefined = findGuest(host, vmid)?.node === host.name;
    task.log(
      isDefined
        ? `lxc-checkpoint: ${vmid}: ../src/lxc/criu.c: do_restore: 1065 criu process exited 1, output:\n\nlxc-checkpoint: ${vmid}: ../src/lxc/criu.c: __criu_restore: 1398 restore process died\nlxc-checkpoint: ${vmid}: ../src/lxc/tools/lxc_checkpoint.c: restore_finalize: 203 Restoring ${vmid} failed\n`
        : `lxc-checkpoint: ${vmid}: ../src/lxc/tools/lxc_checkpoint.c: lxc_checkpoint_main: 299 ${vmid} is not defined\n`,
    );
    throw new ToolError(
      `command 'lxc-checkpoint -n ${vmid} -r --foreground -D /var/lib/vz/dump' failed: exit code 1\n`,
    );
  });
  return exit(end);
}

/** Only a running guest has a console to take. */
export async function console(verb: Verb): Promise<number> {
  loadConfig(verb.host, verb.vmid, verb.io.err);
  if (isRunning(verb)) throw new ToolError('consoles are not part of this stand-in\n');
  const text = `lxc-console: ${verb.vmid}: ../src/lxc/tools/lxc_console.c: lxc_console_main: 130 ${verb.vmid} is not running\n`;
  throw new ToolError(text, 1);
}

/** Cores given to each running guest; the stand-in pins none. */
export async function cpusets(verb: Verb): Promise<number> {
  const running = runningGuests(verb.host).filter((guest) => guest.kind === 'lxc');
  if (running.length === 0) {
    verb.io.out('no running containers\n');
    return 0;
  }
  const all = Array.from({ length: verb.host.identity.cores }, (_, n) => String(n)).join(' ');
  const rows = running.map((guest) => `${guest.vmid}:  ${all}`);
  const line = '-'.repeat(Math.max(...rows.map((row) => row.length)));
  verb.io.out(`${line}\n${rows.join('\n')}\n${line}\n`);
  return 0;
}
