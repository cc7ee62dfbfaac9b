/**
 * What a fleet from a seed looks like, host by host: clusters of eight and hosts alone, their storages, cards and
 * guests. Each host follows from the seed and its number only, so it can be made alone and in any order.
 */
import type { GpuKind } from '../host/devices.ts';
import { IMPLICIT_LOCAL, type Storage } from '../text/storage-cfg.ts';
import { Rng } from './rng.ts';

export interface FleetSize {
  readonly seed: number;
  readonly hosts: number;
  readonly guestsPerHost: number;
}

export interface GuestPlan {
  readonly vmid: number;
  readonly kind: 'lxc' | 'qemu';
  readonly isRunning: boolean;
  readonly storage: 'local' | 'local-zfs';
  readonly diskBytes: number;
  /** Of the config, without the disk. */
  readonly values: Readonly<Record<string, string>>;
}

export interface HostPlan {
  readonly name: string;
  /** Name of its cluster; none: a host alone. */
  readonly cluster?: string;
  readonly ip: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** UNIX seconds. */
  readonly startTime: number;
  readonly storages: readonly Storage[];
  /** Size of its pool, where the cluster has one. */
  readonly poolBytes?: number;
  readonly gpu?: GpuKind;
  readonly guests: readonly GuestPlan[];
}

export const POOL = 'tank';
const CLUSTER_SIZE = 8;
const GIB = 1024 ** 3;
/** 2026-01-01. */
const EPOCH = 1_767_225_600;
export const LOCAL_ZFS: Storage = {
  id: 'local-zfs',
  type: 'zfspool',
  options: { pool: `${POOL}/guests`, content: 'images,rootdir', sparse: '1' },
};
const SERVICES = ['web', 'db', 'cache', 'dns', 'mail', 'media', 'backup', 'queue'] as const;
const TAGS = ['prod', 'test', 'backup', 'web', 'db'] as const;

/** Numbers of one thing of the fleet, apart from those of every other. */
function rngOf(seed: number, ...path: readonly number[]): Rng {
  let mixed = seed >>> 0;
  for (const step of path) mixed = Math.imul(mixed ^ (step + 0x9e3779b9), 0x85ebca6b) >>> 0;
  return new Rng(mixed);
}

interface Place {
  readonly index: number;
  readonly cluster: string | undefined;
  /** Which member of its cluster, 0 alone. */
  readonly slot: number;
  readonly hasPool: boolean;
}

/** Three of four groups of eight are clusters; what is left over at the end stands alone. */
function placeOf({ seed, hosts }: FleetSize, index: number): Place {
  const group = Math.floor(index / CLUSTER_SIZE);
  const rng = rngOf(seed, 1, group);
  const isCluster = rng.next() < 0.75 && (group + 1) * CLUSTER_SIZE <= hosts;
  const hasPool = rng.next() < 0.6;
  return {
    index,
    cluster: isCluster ? `c${String(group + 1).padStart(4, '0')}` : undefined,
    slot: isCluster ? index % CLUSTER_SIZE : 0,
    hasPool,
  };
}

export function planHost(size: FleetSize, index: number): HostPlan {
  const place = placeOf(size, index);
  const rng = rngOf(size.seed, 2, index);
  const cores = rng.pick([8, 16, 32, 64]);
  const number = index + 1;
  return {
    name: `pve${String(number).padStart(5, '0')}`,
    ...(place.cluster === undefined ? {} : { cluster: place.cluster }),
    ip: `10.${Math.floor(number / 65536)}.${Math.floor(number / 256) % 256}.${number % 256}`,
    cores,
    memoryBytes: cores * rng.pick([4, 8]) * GIB,
    startTime: EPOCH + rng.int(0, 86_400 * 90),
    storages: place.hasPool ? [IMPLICIT_LOCAL, LOCAL_ZFS] : [IMPLICIT_LOCAL],
    ...(place.hasPool ? { poolBytes: rng.int(2, 16) * 1024 * GIB } : {}),
    ...(rng.next() < 0.2 ? { gpu: rng.pick(['nvidia', 'amd', 'intel'] as const) } : {}),
    guests: planGuests(size, place),
  };
}

function planGuests(size: FleetSize, place: Place): GuestPlan[] {
  const rng = rngOf(size.seed, 3, place.index);
  // A vmid is taken once in a cluster.
  const first = 100 + place.slot * size.guestsPerHost;
  return Array.from({ length: size.guestsPerHost }, (_, i) => planGuest(rng, first + i, place.hasPool));
}

function planGuest(rng: Rng, vmid: number, hasPool: boolean): GuestPlan {
  const service = rng.pick(SERVICES);
  const kind = rng.next() < 0.05 ? 'qemu' : 'lxc';
  const mac = `BC:24:11:${(rng.hex(6).match(/../g) ?? []).join(':').toUpperCase()}`;
  const tags = TAGS.filter(() => rng.next() < 0.25).join(';');
  const common = {
    cores: String(rng.int(1, 8)),
    memory: String(rng.pick([256, 512, 1024, 2048, 4096])),
    onboot: '1',
    ...(tags === '' ? {} : { tags }),
  };
  const values =
    kind === 'qemu'
      ? { ...common, boot: 'order=scsi0', name: `${service}${vmid}`, net0: `virtio=${mac},bridge=vmbr0`, ostype: 'l26' }
      : {
          ...common,
          arch: 'amd64',
          features: 'nesting=1',
          hostname: `${service}${vmid}`,
          net0: `name=eth0,bridge=vmbr0,hwaddr=${mac},ip=dhcp,type=veth`,
          ostype: rng.pick(['debian', 'ubuntu', 'alpine'] as const),
          swap: '512',
          unprivileged: '1',
        };
  return {
    vmid,
    kind,
    isRunning: rng.next() < 0.6,
    storage: hasPool && rng.next() < 0.8 ? 'local-zfs' : 'local',
    diskBytes: rng.pick([4, 8, 16, 32]) * GIB,
    values,
  };
}
