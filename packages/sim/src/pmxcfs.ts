/**
 * The cluster file system: one directory of shared files, counters that grow at every change, and the dot files each
 * node shows (.version, .vmlist, .members, .clusterlog; layout as pve-cluster src/pmxcfs/status.c prints it).
 * Writes by our tools count at once; writes by anybody else (an editor, an agent that edits a guest's file) are found
 * by `syncCluster`, which compares inode, size and time of every watched file. Everything here is synchronous and
 * runs under one lock per cluster, so no two changes get the same number.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { switchesOf } from './fault.ts';
import type { Host } from './host.ts';
import { membersText, versionText, vmlistText, WATCHED_FILES } from './pmxcfs-dot-files.ts';
import { type ClusterState, freshState, type GuestEntry, type GuestKind, type Member } from './pmxcfs-state.ts';
import { readJson, readText, writeFileAtomicSync } from './sim-file.ts';
import { withSimLock } from './sim-lock.ts';
import { ToolError } from './tool.ts';

const LOG_LENGTH = 50;

/** Changes the state under the cluster's lock and renews the dot files of every node. */
export function changeCluster<T>(host: Host, change: (state: ClusterState) => T): T {
  return withSimLock(host.clusterPath('.sim', 'lock'), () => {
    const state = readJson<ClusterState>(host.clusterPath('.sim', 'pmxcfs.json')) ?? freshState();
    const before = JSON.stringify(state);
    const result = change(state);
    const after = JSON.stringify(state);
    if (after !== before) {
      writeFileAtomicSync(host.clusterPath('.sim', 'pmxcfs.json'), after);
      writeDotFiles(state);
    }
    return result;
  });
}

export function readCluster(host: Host): ClusterState {
  return readJson<ClusterState>(host.clusterPath('.sim', 'pmxcfs.json')) ?? freshState();
}

function writeDotFiles(state: ClusterState): void {
  for (const [name, member] of Object.entries(state.members)) {
    if (!member.online) continue;
    const put = (file: string, text: string): void => {
      const path = join(member.root, 'etc/pve', file);
      if (readText(path) !== text) writeFileAtomicSync(path, text, 0o440);
    };
    try {
      put('.version', versionText(state, member));
      put('.vmlist', vmlistText(state));
      put('.members', membersText(state, name));
      put('.clusterlog', `{\n"data": [\n${state.log.map((entry) => JSON.stringify(entry)).join(',\n')}\n]\n}\n`);
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err; // that node's directory is gone
    }
  }
}

/** Adds the node to its cluster; ids are given in the order of joining. */
export function registerMember(host: Host): void {
  changeCluster(host, (state) => {
    const { name, identity } = host;
    if (state.members[name] !== undefined && state.members[name].root !== host.root)
      throw new Error(`node name ${name} is taken in this cluster`);
    state.clusterName = identity.clusterName ?? state.clusterName;
    const id = Object.keys(state.members).length + 1;
    state.members[name] = { root: host.root, id, ip: identity.ip, online: true, startTime: identity.startTime };
    state.tasklist[name] = 1;
    state.clinfo += 1;
    scan(host, state);
  });
}

/** Finds changes made without our tools. Cheap when nothing changed: one stat per file. */
export function syncCluster(host: Host): void {
  changeCluster(host, (state) => scan(host, state));
}

function scan(host: Host, state: ClusterState): void {
  const found = new Map<string, string>();
  for (const node of list(host.clusterPath('nodes'))) {
    for (const [folder, kind] of [
      ['lxc', 'lxc'],
      ['qemu-server', 'qemu'],
    ] as const) {
      for (const file of list(host.clusterPath('nodes', node, folder))) {
        const vmid = /^([1-9][0-9]{2,8})\.conf$/.exec(file)?.[1];
        if (vmid !== undefined)
          noteGuest({ host, state, found }, { path: `nodes/${node}/${folder}/${file}`, vmid, node, kind });
      }
    }
  }
  for (const vmid of Object.keys(state.guests))
    if (![...found.keys()].some((p) => p.endsWith(`/${vmid}.conf`))) dropGuest(state, vmid);
  for (const file of WATCHED_FILES) {
    const print = fingerprint(host.clusterPath(file));
    if (print === undefined) continue;
    found.set(file, print);
    if (state.seen[file] !== print) state.files[file] = (state.files[file] ?? 1) + 1;
  }
  state.seen = Object.fromEntries(found);
}

function noteGuest(
  at: { host: Host; state: ClusterState; found: Map<string, string> },
  guest: { path: string; vmid: string; node: string; kind: GuestKind },
): void {
  const print = fingerprint(at.host.clusterPath(guest.path));
  if (print === undefined) return;
  at.found.set(guest.path, print);
  const known = at.state.guests[guest.vmid];
  if (at.state.seen[guest.path] !== print || known === undefined || known.node !== guest.node) {
    touchGuest(at.state, { vmid: guest.vmid, node: guest.node, type: guest.kind });
  }
}

function touchGuest(state: ClusterState, guest: { vmid: string; node: string; type: GuestKind }): void {
  state.vmlist += 1;
  state.guestCounter += 1;
  state.guests[guest.vmid] = { node: guest.node, type: guest.type, version: state.guestCounter };
}

function dropGuest(state: ClusterState, vmid: string): void {
  const { [vmid]: _gone, ...rest } = state.guests;
  state.guests = rest;
  state.vmlist += 1;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function fingerprint(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.ino}:${stat.size}:${stat.mtimeMs}`;
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

export interface PveFile {
  /** Below /etc/pve. */
  readonly path: string;
  readonly text: string;
  /** Refuse when the guest id is taken anywhere in the cluster; the text says by whom. */
  readonly isNew?: boolean;
  /** Extra counter steps (upstream opens, writes and renames in more than one change). */
  readonly steps?: number;
}

/** Writes a file below /etc/pve. Failures carry upstream's text and exit status. */
export function writePveFile(host: Host, { path, text, isNew, steps }: PveFile): void {
  requireWritable(host, path);
  changeCluster(host, (state) => {
    scan(host, state);
    const guest = guestOf(path);
    const taken = guest === undefined ? undefined : state.guests[guest.vmid];
    if (taken !== undefined && (isNew === true || taken.node !== guest?.node)) {
      throw new ToolError(
        `${taken.type === 'qemu' ? 'VM' : 'CT'} ${guest?.vmid ?? ''} already exists on node '${taken.node}'\n`,
      );
    }
    mkdirSync(dirname(host.clusterPath(path)), { recursive: true });
    writeFileAtomicSync(host.clusterPath(path), text, 0o640);
    scan(host, state);
    if (guest !== undefined) state.vmlist += (steps ?? 1) - 1;
  });
}

export function removePveFile(host: Host, path: string): void {
  requireWritable(host, path);
  changeCluster(host, (state) => {
    rmSync(host.clusterPath(path), { force: true });
    scan(host, state);
  });
}

function guestOf(path: string): { vmid: string; node: string } | undefined {
  const parts = /^nodes\/([^/]+)\/(?:lxc|qemu-server)\/(\d+)\.conf$/.exec(path);
  return parts?.[1] === undefined || parts[2] === undefined ? undefined : { node: parts[1], vmid: parts[2] };
}

/** Without quorum /etc/pve is read-only (EACCES, exit status 2 as the tools give it). */
function requireWritable(host: Host, path: string): void {
  if (isQuorate(host)) return;
  throw new ToolError(`unable to open file '/etc/pve/${path}.tmp.${process.pid}' - Permission denied\n`, 2);
}

export function isQuorate(host: Host): boolean {
  return switchesOf(host).noQuorum !== true;
}

/** What create, clone and start ask first (pve-cluster src/PVE/Cluster.pm check_cfs_quorum). */
export function requireQuorum(host: Host): void {
  if (!isQuorate(host)) throw new ToolError('cluster not ready - no quorum?\n');
}

export function bumpTasklist(host: Host): void {
  changeCluster(host, (state) => {
    state.tasklist[host.name] = (state.tasklist[host.name] ?? 0) + 1;
  });
}

export function clusterLog(host: Host, entry: { tag: string; pid: number; user: string; msg: string }): void {
  changeCluster(host, (state) => {
    const uid = (state.log[0]?.uid ?? 0) + 1;
    state.log.unshift({
      uid,
      time: Math.floor(Date.now() / 1000),
      pri: 6,
      tag: entry.tag,
      pid: entry.pid,
      node: host.name,
      user: entry.user,
      msg: entry.msg,
    });
    state.log.length = Math.min(state.log.length, LOG_LENGTH);
  });
}

/** The quorum of the cluster as this node shows it, and the start time of its cluster file system, changed on demand. */
export function setMember(host: Host, change: Partial<Pick<Member, 'online' | 'startTime'>>): void {
  changeCluster(host, (state) => {
    const member = state.members[host.name];
    if (member === undefined) return;
    state.members[host.name] = { ...member, ...change };
    state.clinfo += 1;
  });
}
