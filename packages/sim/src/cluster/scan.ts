/** Finds what changed below a cluster directory since the last look: inode, size and time of every watched file. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WATCHED_FILES } from './dot-files.ts';
import type { ClusterState, GuestKind } from './state.ts';

const FOLDERS: readonly (readonly [folder: string, kind: GuestKind])[] = [
  ['lxc', 'lxc'],
  ['qemu-server', 'qemu'],
];

interface Look {
  readonly directory: string;
  readonly state: ClusterState;
  /** Fingerprints of this look, and the ids it found. */
  readonly prints: Map<string, string>;
  readonly vmids: Set<string>;
}

/** Counts every change in the state. */
export function scan(directory: string, state: ClusterState): void {
  const look: Look = { directory, state, prints: new Map(), vmids: new Set() };
  for (const node of list(join(directory, 'nodes'))) {
    for (const [folder, kind] of FOLDERS) {
      for (const file of list(join(directory, 'nodes', node, folder))) {
        const vmid = /^([1-9][0-9]{2,8})\.conf$/.exec(file)?.[1];
        if (vmid !== undefined) noteGuest(look, { path: `nodes/${node}/${folder}/${file}`, vmid, node, kind });
      }
    }
  }
  for (const vmid of Object.keys(state.guests)) {
    if (look.vmids.has(vmid)) continue;
    const { [vmid]: _gone, ...rest } = state.guests;
    state.guests = rest;
    state.vmlist += 1;
  }
  for (const file of WATCHED_FILES) {
    const print = fingerprint(join(directory, file));
    if (print === undefined) continue;
    look.prints.set(file, print);
    if (state.seen[file] !== print) state.files[file] = (state.files[file] ?? 1) + 1;
  }
  state.seen = Object.fromEntries(look.prints);
}

function noteGuest(look: Look, guest: { path: string; vmid: string; node: string; kind: GuestKind }): void {
  const { state } = look;
  const print = fingerprint(join(look.directory, guest.path));
  if (print === undefined) return;
  look.prints.set(guest.path, print);
  look.vmids.add(guest.vmid);
  const known = state.guests[guest.vmid];
  if (state.seen[guest.path] === print && known?.node === guest.node) return;
  state.vmlist += 1;
  state.guestCounter += 1;
  state.guests[guest.vmid] = { node: guest.node, type: guest.kind, version: state.guestCounter };
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
