/**
 * Which guests run, shown where a node shows it: the command socket in /proc/net/unix, the cgroup folders, and the
 * init process below /proc. Both runtimes publish through here. The record is one file per guest in `.sim/running`.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, writeFileAtomicSync } from '../file/sim-file.ts';
import { withSimLock } from '../file/sim-lock.ts';
import type { Host } from './host.ts';

export interface RunningGuest {
  readonly vmid: number;
  readonly kind: 'lxc' | 'qemu';
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly isPlayed: boolean;
}

const SLICE = '/sys/fs/cgroup/system.slice/system-pve\\x2dcontainer.slice';
const UNIX_HEADER = 'Num       RefCount Protocol Flags    Type St Inode Path\n';

export function runningGuests(host: Host): RunningGuest[] {
  return runningIn(host.simPath('running'));
}

/** By the folder of a node's record. */
export function runningIn(folder: string): RunningGuest[] {
  if (!existsSync(folder)) return [];
  const records = readdirSync(folder)
    .filter((name) => /^\d+\.json$/.test(name))
    .map((name) => readJson<RunningGuest>(join(folder, name)));
  return records.filter((record) => record !== undefined).sort((a, b) => a.vmid - b.vmid);
}

export function runningGuest(host: Host, vmid: number): RunningGuest | undefined {
  return readJson<RunningGuest>(host.simPath('running', `${vmid}.json`));
}

/** The guest's cgroup, socket and init appear, in the order a node shows them. */
export function publishRunning(host: Host, ...guests: readonly RunningGuest[]): void {
  locked(host, () => {
    for (const guest of guests) show(host, guest);
    writeUnixSockets(host);
  });
}

function show(host: Host, guest: RunningGuest): void {
  if (guest.kind === 'lxc') {
    for (const folder of cgroupFolders(guest.vmid)) {
      mkdirSync(host.path(folder), { recursive: true });
      writeFileSync(host.path(`${folder}/cgroup.procs`), `${guest.pid}\n`);
    }
  } else writeFileSync(host.path(`/run/qemu-server/${guest.vmid}.pid`), `${guest.pid}\n`);
  if (!guest.isPlayed) linkProcess(host, guest.pid);
  writeFileAtomicSync(host.simPath('running', `${guest.vmid}.json`), JSON.stringify(guest));
}

/** Everything goes; a guest that does not run is not an error. */
export function publishStopped(host: Host, vmid: number): void {
  locked(host, () => {
    const guest = runningGuest(host, vmid);
    rmSync(host.simPath('running', `${vmid}.json`), { force: true });
    writeUnixSockets(host);
    for (const folder of cgroupFolders(vmid)) rmSync(host.path(folder), { recursive: true, force: true });
    rmSync(host.path(`/run/qemu-server/${vmid}.pid`), { force: true });
    if (guest !== undefined) rmSync(host.path(`/proc/${guest.pid}`), { recursive: true, force: true });
  });
}

/** `/proc/<pid>` of the stand-in leads to the real one, so that addresses and ports of a real guest can be read. */
export function linkProcess(host: Host, pid: number): void {
  rmSync(host.path(`/proc/${pid}`), { recursive: true, force: true });
  symlinkSync(`/proc/${pid}`, host.path(`/proc/${pid}`));
}

function cgroupFolders(vmid: number): string[] {
  return [`/sys/fs/cgroup/lxc.monitor/${vmid}`, `${SLICE}/pve-container@${vmid}.service`, `/sys/fs/cgroup/lxc/${vmid}`];
}

function locked(host: Host, section: () => void): void {
  mkdirSync(host.simPath('running'), { recursive: true });
  withSimLock(host.simPath('running.lock'), section);
}

function writeUnixSockets(host: Host): void {
  const line = (name: string, inode: number): string =>
    `0000000000000000: 00000002 00000000 00010000 0001 01 ${inode} ${name}\n`;
  const sockets = runningGuests(host).map((guest) =>
    guest.kind === 'lxc'
      ? line(`@/var/lib/lxc/${guest.vmid}/command`, 100_000 + guest.vmid)
      : line(`/var/run/qemu-server/${guest.vmid}.qmp`, 100_000 + guest.vmid),
  );
  writeFileAtomicSync(host.path('/proc/net/unix'), UNIX_HEADER + sockets.join(''));
}
