/**
 * A node that loses the others, and a node whose cluster file system stops. The cut is real: from then on the node sees
 * a copy of the cluster directory of its own, nothing of the others reaches it, and what it still has is thrown away
 * when the link heals. Between the cut and its notice (8 s on a real cluster) the node believes itself quorate and its
 * writes block.
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { scaledWait, turnSwitches } from '../call/switches.ts';
import { readJson, writeFileAtomicSync } from '../file/sim-file.ts';
import { withSimLock } from '../file/sim-lock.ts';
import type { Host } from '../host/host.ts';
import { runningIn } from '../host/running.ts';
import { linkPve } from './pve-links.ts';
import { changeClusterIn, recordIn } from './record.ts';
import { type ClusterState, type Member, shownVersion, viewFrom } from './state.ts';

/** Measured on a three-node corosync cluster: 7.8 to 8.0 s. */
const NOTICE_MS = 8000;

/** `.sim/cut.json`, while a cut is not noticed. */
interface PendingCut {
  readonly noticeAt: number;
}

/** Cuts the node off. It notices after 8 s, or what `waitScale` makes of that. */
export function cutNode(host: Host): void {
  const noticeAt = Date.now() + scaledWait(host, NOTICE_MS);
  changeClusterIn(host.sharedDir, () => {
    const view = copyForItself(host);
    // In this order: who sees the copy must also see that there is something to wait for.
    writeFileAtomicSync(host.simPath('cut.json'), JSON.stringify({ noticeAt } satisfies PendingCut));
    renameSync(view, host.simPath('cut-off'));
    linkPve(host);
  });
  noticeCut(host);
}

function copyForItself(host: Host): string {
  const { sharedDir } = host;
  const isRecord = (path: string): boolean => path === join(sharedDir, '.sim', 'pmxcfs.json');
  const isOwnFile = (path: string): boolean =>
    !path.startsWith(join(sharedDir, '.sim/')) || isRecord(path) || path.includes('/.sim/rrd.');
  const copy = host.simPath('cut-off.new');
  cpSync(sharedDir, copy, { recursive: true, preserveTimestamps: true, filter: isOwnFile });
  // What the tools write blocks until the cut is noticed; who writes without them is denied at once, and nothing of it stays.
  setWritable(copy, false);
  return copy;
}

/** Milliseconds until the node notices that it is cut off; undefined when there is nothing to notice. */
export function noticeIn(host: Host): number | undefined {
  const pending = readJson<PendingCut>(host.simPath('cut.json'));
  return pending === undefined ? undefined : Math.max(pending.noticeAt - Date.now(), 0);
}

/** When it is time: /etc/pve becomes read-only here, and both sides count the others as gone. */
export function noticeCut(host: Host): void {
  if (!isNoticeDue(host)) return;
  oneAtATime(host, () => {
    if (!isNoticeDue(host)) return;
    // Before the cut counts as noticed: who sees neither takes the node for quorate, and writes.
    turnSwitches(host, { noQuorum: true });
    changeClusterIn(host.simPath('cut-off'), (state) => {
      for (const [name, member] of Object.entries(state.members))
        state.members[name] = name === host.name ? { ...member, online: true } : gone(member);
      state.clinfo += 1;
    });
    setOnline(host, false);
    rmSync(host.simPath('cut.json'), { force: true });
  });
}

function isNoticeDue(host: Host): boolean {
  return noticeIn(host) === 0 && host.isCutOff;
}

/** Noticing and healing change the same things; the lock of the cluster directory ends with the directory. */
function oneAtATime(host: Host, section: () => void): void {
  withSimLock(host.simPath('membership.lock'), section);
}

/** A write to a FUSE file system blocks the whole process, so this does too. */
export function waitForNotice(host: Host): void {
  const ms = noticeIn(host);
  if (ms === undefined) return;
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  noticeCut(host);
}

/** The link is back: the node takes over the state of the majority; a guest moved away is gone from its folder. */
export function healNode(host: Host): void {
  oneAtATime(host, () => {
    const own = host.simPath('cut-off');
    const before = recordIn(own);
    rmSync(host.simPath('cut.json'), { force: true });
    if (host.isCutOff) {
      // Whoever is in the middle of a change ends it first.
      changeClusterIn(own, () => {
        setWritable(own, true);
        renameSync(own, `${own}.old`);
        linkPve(host);
      });
      rmSync(`${own}.old`, { recursive: true });
    }
    turnSwitches(host, { noQuorum: false });
    changeClusterIn(host.sharedDir, (state) => {
      const member = state.members[host.name];
      if (member === undefined) return;
      state.clinfo += 1;
      state.members[host.name] = { ...member, online: true, view: viewAfter(host.name, before ?? state, state) };
    });
  });
}

/** Counters of the node go on from what it showed last; every guest gets a new number. */
function viewAfter(name: string, before: ClusterState, state: ClusterState): ReturnType<typeof viewFrom> {
  const view = before.members[name]?.view;
  if (view === undefined) return viewFrom(state, { vmlist: 1, guests: 0, clinfo: 1 });
  const shown = Object.entries(before.guests).map(([vmid, guest]) => shownVersion(view, vmid, guest));
  const last = {
    vmlist: before.vmlist - view.vmlist + 1,
    guests: Math.max(0, ...shown),
    clinfo: before.clinfo - view.clinfo + 1,
  };
  return { ...viewFrom(state, last), files: view.files, tasklist: view.tasklist };
}

function setOnline(host: Host, online: boolean): void {
  changeClusterIn(host.sharedDir, (state) => {
    const member = state.members[host.name];
    if (member === undefined || member.online === online) return;
    state.members[host.name] = online ? { ...member, online } : gone(member);
    state.clinfo += 1;
  });
}

/** Its last report stays known for a while, guests that ran at that time among it. */
function gone(member: Member): Member {
  if (!member.online) return member;
  const running = runningIn(join(member.root, '.sim', 'running'));
  return { ...member, online: false, lastReport: { at: Date.now(), running } };
}

/** Folders lose or get the right to write (dr-xr-xr-x), files with them; the stand-in's own record keeps it. */
function setWritable(folder: string, isWritable: boolean): void {
  if (isWritable) chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === '.sim') continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) setWritable(path, isWritable);
    else chmodSync(path, isWritable ? 0o640 : 0o440);
  }
  if (!isWritable) chmodSync(folder, 0o555);
}

/** /etc/pve is an empty folder from now on, and every tool that asks the cluster file system exits 111. */
export function stopPmxcfs(host: Host): void {
  turnSwitches(host, { noPmxcfs: true });
  setOnline(host, false);
  renameSync(host.path('/etc/pve'), host.simPath('pve-unmounted'));
  mkdirSync(host.path('/etc/pve'));
}

/** A new run: another start time, and all counters begin again. */
export function startPmxcfs(host: Host): void {
  rmSync(host.path('/etc/pve'), { recursive: true, force: true });
  renameSync(host.simPath('pve-unmounted'), host.path('/etc/pve'));
  turnSwitches(host, { noPmxcfs: false });
  restartPmxcfs(host);
}

/** The same without the pause between. */
export function restartPmxcfs(host: Host): void {
  changeClusterIn(host.sharedDir, (state) => {
    const member = state.members[host.name];
    if (member === undefined) return;
    state.clinfo += 1;
    const startTime = Math.max(Math.floor(Date.now() / 1000), member.startTime + 1);
    const view = viewFrom(state, { vmlist: 1, guests: 0, clinfo: 1 });
    state.members[host.name] = { ...member, online: true, startTime, view };
  });
}
