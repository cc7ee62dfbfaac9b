/** The shape of the cluster file system's own record, and what one node shows of its counters. */
import type { RunningGuest } from '../host/running.ts';

export type GuestKind = 'lxc' | 'qemu';

export interface GuestEntry {
  readonly node: string;
  readonly type: GuestKind;
  readonly version: number;
}

/**
 * Counters belong to one node and one run of its cluster file system: what a node shows is the cluster's count less
 * what had happened before that run began.
 */
export interface View {
  readonly clinfo: number;
  readonly vmlist: number;
  readonly guests: number;
  readonly files: Readonly<Record<string, number>>;
  readonly tasklist: Readonly<Record<string, number>>;
  /** Guests that were there when the run began: the version they had in the cluster, and the one shown for it. */
  readonly found: Readonly<Record<string, readonly [version: number, shown: number]>>;
}

export interface Member {
  readonly root: string;
  readonly id: number;
  readonly ip: string;
  readonly online: boolean;
  readonly startTime: number;
  readonly view: View;
  /** While it is offline: what it had reported before. */
  readonly lastReport?: { readonly at: number; readonly running: readonly RunningGuest[] };
}

export interface LogEntry {
  readonly uid: number;
  readonly time: number;
  readonly pri: number;
  readonly tag: string;
  readonly pid: number;
  readonly node: string;
  readonly user: string;
  readonly msg: string;
}

/** `<clusterDir>/.sim/pmxcfs.json`. */
export interface ClusterState {
  clusterName: string;
  clinfo: number;
  vmlist: number;
  /** Source of the per-guest versions. */
  guestCounter: number;
  guests: Record<string, GuestEntry>;
  files: Record<string, number>;
  tasklist: Record<string, number>;
  members: Record<string, Member>;
  seen: Record<string, string>;
  log: LogEntry[];
}

export function freshState(): ClusterState {
  return {
    clusterName: '',
    clinfo: 1,
    vmlist: 1,
    guestCounter: 0,
    guests: {},
    files: {},
    tasklist: {},
    members: {},
    seen: {},
    log: [],
  };
}

/** Everything of now counts as one step: the list is at `vmlist`, the guests in it are numbered on from `guests`. */
export function viewFrom(state: ClusterState, last: { vmlist: number; guests: number; clinfo: number }): View {
  const ids = Object.entries(state.guests);
  return {
    clinfo: state.clinfo - last.clinfo,
    vmlist: state.vmlist - last.vmlist,
    guests: state.guestCounter - last.guests - ids.length,
    files: Object.fromEntries(Object.entries(state.files).map(([file, count]) => [file, count - 1])),
    tasklist: { ...state.tasklist },
    found: Object.fromEntries(ids.map(([vmid, g], i) => [vmid, [g.version, last.guests + i + 1] as const])),
  };
}

export function shownVersion(view: View, vmid: string, guest: GuestEntry): number {
  const found = view.found[vmid];
  return found?.[0] === guest.version ? found[1] : guest.version - view.guests;
}
