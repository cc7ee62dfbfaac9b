/**
 * The cluster file system: one directory of shared files, counters that grow at every change, and the dot files each
 * node shows (.version, .vmlist, .members, .clusterlog; layout as pve-cluster src/pmxcfs/status.c prints it).
 * Writes by our tools count at once; writes by anybody else (an editor, an agent that edits a guest's file) are found
 * by `syncCluster`. Everything here is synchronous and runs under one lock per cluster, so no two changes get the same
 * number. What happens to a node that is cut off or whose cluster file system stops is in membership.ts.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { requireAlive } from '../call/call.ts';
import { NoSpaceError, reachNow } from '../call/fault.ts';
import { switchesOf } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import { readText, writeFileAtomicSync } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { noticeCut, waitForNotice } from './membership.ts';
import { changeClusterIn, recordIn } from './record.ts';
import { scan } from './scan.ts';
import { type ClusterState, freshState, type GuestEntry, type GuestKind, viewFrom } from './state.ts';

const LOG_LENGTH = 50;
/** Priorities of syslog. */
const ERROR = 3;
const INFO = 6;

/** Changes the state as this node sees it, and renews the dot files of every node that sees the same. */
export function changeCluster<T>(host: Host, change: (state: ClusterState) => T): T {
  requireAlive();
  for (;;) {
    const directory = host.clusterDir;
    try {
      const done = changeClusterIn(directory, (state) =>
        host.clusterDir === directory ? { result: change(state) } : undefined,
      );
      if (done !== undefined) return done.result;
    } catch (err) {
      // Cut off or healed while it waited for its turn: nothing was begun, and the node sees another directory now.
      if ((err as NodeJS.ErrnoException).code !== 'ENOENT' || host.clusterDir === directory) throw err;
    }
  }
}

export function readCluster(host: Host): ClusterState {
  return recordIn(host.clusterDir) ?? freshState();
}

/** Adds the node to its cluster; ids are given in the order of joining. */
export function registerMember(host: Host): void {
  changeCluster(host, (state) => {
    const { name, identity } = host;
    if (state.members[name] !== undefined && state.members[name].root !== host.root)
      throw new Error(`node name ${name} is taken in this cluster`);
    state.clusterName = identity.clusterName ?? state.clusterName;
    const id = Object.keys(state.members).length + 1;
    const { ip, startTime } = identity;
    const view = { ...viewFrom(state, { vmlist: 1, guests: 0, clinfo: 1 }), tasklist: {} };
    state.members[name] = { root: host.root, id, ip, online: true, startTime, view };
    state.tasklist[name] = 1;
    state.clinfo += 1;
    scan(host.clusterDir, state);
  });
}

/** Finds changes made without our tools. Cheap when nothing changed: one stat per file. */
export function syncCluster(host: Host): void {
  noticeCut(host);
  changeCluster(host, (state) => scan(host.clusterDir, state));
}

/** Where a guest of that id lives in the cluster, whatever its kind. */
export function findGuest(host: Host, vmid: number): GuestEntry | undefined {
  return readCluster(host).guests[String(vmid)];
}

export function guestFile(node: string, type: GuestKind, vmid: number): string {
  return `nodes/${node}/${type === 'lxc' ? 'lxc' : 'qemu-server'}/${vmid}.conf`;
}

export function readPveFile(host: Host, path: string): string | undefined {
  return readText(host.clusterPath(path));
}

/** A guest's config, one character a byte; perlBytes makes the bytes of it again. */
export function readGuestFile(host: Host, path: string): string | undefined {
  return readText(host.clusterPath(path), 'latin1');
}

export interface PveFile {
  /** Below /etc/pve. */
  readonly path: string;
  readonly text: string | Buffer;
  /** Refuse when the guest id is taken anywhere in the cluster; the text says by whom. */
  readonly isNew?: boolean;
  /** Extra counter steps (upstream opens, writes and renames in more than one change). */
  readonly steps?: number;
}

/** Writes a file below /etc/pve. Failures carry upstream's text and exit status. */
export function writePveFile(host: Host, { path, text, isNew, steps }: PveFile): void {
  changeFiles(host, notOpened(path), (state) => {
    scan(host.clusterDir, state);
    const guest = guestOf(path);
    const taken = guest === undefined ? undefined : state.guests[guest.vmid];
    if (taken !== undefined && (isNew === true || taken.node !== guest?.node)) {
      throw new ToolError(
        `${taken.type === 'qemu' ? 'VM' : 'CT'} ${guest?.vmid ?? ''} already exists on node '${taken.node}'\n`,
      );
    }
    mkdirSync(dirname(host.clusterPath(path)), { recursive: true });
    writeUnderTemporaryName(host, path, text);
    scan(host.clusterDir, state);
    if (guest !== undefined) state.vmlist += (steps ?? 1) - 1;
  });
}

/** Half of the file can be there when the writer dies; the name it is meant for is never half written. */
function writeUnderTemporaryName(host: Host, path: string, text: string | Buffer): void {
  const real = host.clusterPath(path);
  const temporary = `${real}.tmp.${process.pid}`;
  writeFileSync(temporary, text.slice(0, Math.floor(text.length / 2)), { mode: 0o640 });
  try {
    reachNow(host, 'mid-write');
  } catch (err) {
    if (!(err instanceof NoSpaceError)) throw err;
    rmSync(temporary);
    throw new ToolError(`unable to write '/etc/pve/${path}.tmp.${process.pid}' - ${err.message}\n`);
  }
  rmSync(temporary);
  writeFileAtomicSync(real, text, 0o640);
}

/** A config goes to another node by a rename, in one step of the cluster (how a migration ends, and how HA recovers). */
export function movePveFile(host: Host, from: string, to: string): void {
  changeFiles(host, notOpened(from), (state) => {
    mkdirSync(dirname(host.clusterPath(to)), { recursive: true });
    renameSync(host.clusterPath(from), host.clusterPath(to));
    scan(host.clusterDir, state);
  });
}

export function removePveFile(host: Host, path: string): void {
  changeFiles(host, new ToolError('failed to remove config file: Permission denied\n'), (state) => {
    rmSync(host.clusterPath(path), { force: true });
    scan(host.clusterDir, state);
  });
}

function guestOf(path: string): { vmid: string; node: string } | undefined {
  const parts = /^nodes\/([^/]+)\/(?:lxc|qemu-server)\/(\d+)\.conf$/.exec(path);
  return parts?.[1] === undefined || parts[2] === undefined ? undefined : { node: parts[1], vmid: parts[2] };
}

/**
 * Changes files of /etc/pve, or refuses. A write on a node that lost the others without knowing it yet blocks until the
 * node knows. So does one that was let through before the cut and gets its turn after it.
 */
function changeFiles(host: Host, refusal: ToolError, change: (state: ClusterState) => void): void {
  requireAlive();
  waitForNotice(host);
  if (isQuorate(host)) {
    const isChanged = changeCluster(host, (state) => {
      if (host.isCutOff) return false;
      change(state);
      return true;
    });
    if (isChanged) return;
    waitForNotice(host);
  }
  throw refusal;
}

/** Without quorum /etc/pve is read-only (EACCES, exit status 2 as the tools give it). */
function notOpened(path: string): ToolError {
  return new ToolError(`unable to open file '/etc/pve/${path}.tmp.${process.pid}' - Permission denied\n`, 2);
}

export function isQuorate(host: Host): boolean {
  noticeCut(host);
  return switchesOf(host).noQuorum !== true;
}

/** What create, clone and start ask first (pve-cluster src/PVE/Cluster.pm check_cfs_quorum). */
export function requireQuorum(host: Host): void {
  if (!isQuorate(host)) throw new ToolError('cluster not ready - no quorum?\n');
}

/** Files that upstream writes again as they are; each write counts. */
export function countWrites(host: Host, files: readonly string[]): void {
  changeCluster(host, (state) => {
    for (const file of files) state.files[file] = (state.files[file] ?? 1) + 1;
  });
}

export function bumpTasklist(host: Host): void {
  changeCluster(host, (state) => {
    state.tasklist[host.name] = (state.tasklist[host.name] ?? 0) + 1;
  });
}

export function clusterLog(
  host: Host,
  entry: { tag: string; pid: number; user: string; msg: string; isError?: boolean },
): void {
  changeCluster(host, (state) => {
    const uid = (state.log[0]?.uid ?? 0) + 1;
    state.log.unshift({
      uid,
      time: Math.floor(Date.now() / 1000),
      pri: entry.isError === true ? ERROR : INFO,
      tag: entry.tag,
      pid: entry.pid,
      node: host.name,
      user: entry.user,
      msg: entry.msg,
    });
    state.log.length = Math.min(state.log.length, LOG_LENGTH);
  });
}

/** What every Perl tool says when nobody answers at the socket of the cluster file system. */
export function requirePmxcfs(host: Host): void {
  if (switchesOf(host).noPmxcfs !== true) return;
  const refused = [1, 2, 3].map((n) => `ipcc_send_rec[${n}] failed: Connection refused\n`).join('');
  throw new ToolError(`${refused}Unable to load access control list: Connection refused\n`, 111);
}
