/** Tables of `zfs list -Hp` and `zpool list -Hp` (openzfs/zfs cmd/zfs/zfs_main.c, cmd/zpool/zpool_main.c). */
import { DATASET_COLUMNS, POOL_COLUMNS, SNAPSHOT_COLUMNS } from './zfs-args.ts';

export interface Dataset {
  readonly name: string;
  readonly type: 'filesystem' | 'volume';
  readonly usedBytes: bigint;
  readonly availableBytes: bigint;
  /** 0 = none. */
  readonly refquotaBytes: bigint;
  /** Snapshot it was cloned from; empty for none. */
  readonly origin: string;
  readonly isMounted: boolean;
  /** A path, `none`, `legacy`, or empty for a volume. */
  readonly mountpoint: string;
}

export interface Pool {
  readonly name: string;
  readonly sizeBytes: bigint;
  readonly allocatedBytes: bigint;
  readonly freeBytes: bigint;
  /** ONLINE, DEGRADED, FAULTED, ... */
  readonly health: string;
}

export interface Snapshot {
  /** Without its dataset. */
  readonly name: string;
  readonly isBookmark: boolean;
  /** Holds on it. */
  readonly holds: number;
  /** Datasets cloned from it. */
  readonly clones: readonly string[];
}

/** `-` and `none` mean that a number is not set. */
function bytes(text: string | undefined): bigint {
  return text !== undefined && /^[0-9]+$/.test(text) ? BigInt(text) : 0n;
}

function unlessDash(text: string | undefined): string {
  return text === undefined || text === '-' ? '' : text;
}

/** Rows with fewer columns than asked for are left out: they are no table rows. */
function rows(text: string, columns: number): string[][] {
  return text
    .split('\n')
    .map((line) => line.split('\t'))
    .filter((fields) => fields.length >= columns);
}

export function parseDatasets(text: string): Dataset[] {
  return rows(text, DATASET_COLUMNS.length).map((fields) => {
    const [name = '', type, used, available, refquota, origin, mounted, ...rest] = fields;
    return {
      name,
      type: type === 'volume' ? 'volume' : 'filesystem',
      usedBytes: bytes(used),
      availableBytes: bytes(available),
      refquotaBytes: bytes(refquota),
      origin: unlessDash(origin),
      isMounted: mounted === 'yes',
      mountpoint: unlessDash(rest.join('\t')),
    };
  });
}

export function parsePools(text: string): Pool[] {
  return rows(text, POOL_COLUMNS.length).map(([name = '', size, allocated, free, health = '']) => ({
    name,
    sizeBytes: bytes(size),
    allocatedBytes: bytes(allocated),
    freeBytes: bytes(free),
    health,
  }));
}

export function parseSnapshots(text: string): Snapshot[] {
  return rows(text, SNAPSHOT_COLUMNS.length).map(([name = '', holds, clones]) => ({
    name: name.slice(name.search(/[@#]/) + 1),
    isBookmark: name.includes('#'),
    holds: Number(bytes(holds)),
    clones: unlessDash(clones)
      .split(',')
      .filter((clone) => clone !== ''),
  }));
}
