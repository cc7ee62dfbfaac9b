/** The shape of the cluster file system's own record. */

export type GuestKind = 'lxc' | 'qemu';

export interface GuestEntry {
  readonly node: string;
  readonly type: GuestKind;
  readonly version: number;
}

export interface Member {
  readonly root: string;
  readonly id: number;
  readonly ip: string;
  readonly online: boolean;
  readonly startTime: number;
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
