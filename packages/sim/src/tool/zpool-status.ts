/** `zpool status`: what is wrong, what to do, the tree of devices, the last scan. */
import { lstatSync } from 'node:fs';
import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { humanSize } from '../pool/properties.ts';
import { type PoolRecord, readPools, type Vdev } from '../pool/state.ts';
import { usageOf } from '../pool/usage.ts';
import { isScanning, leaves, vdevGuid } from '../pool/vdevs.ts';
import { type Getopt, GetoptError, has } from './getopt.ts';
import { dateText } from './zfs-table.ts';
import { bare, chosenPools, jsonText } from './zpool-pools.ts';

interface Problem {
  readonly status: string;
  readonly action: string;
  readonly message?: string;
}

const DAMAGED: Problem = {
  status:
    'One or more devices has experienced an error resulting in data\n\tcorruption.  Applications may be affected.',
  action: 'Restore the file in question if possible.  Otherwise restore the\n\tentire pool from backup.',
  message: 'ZFS-8000-8A',
};
const REPAIRED: Problem = {
  status:
    'One or more devices has experienced an unrecoverable error.  An\n\tattempt was made to correct the error.  Applications are unaffected.',
  action:
    "Determine if the device needs to be replaced, and clear the errors\n\tusing 'zpool clear' or replace the device with 'zpool replace'.",
  message: 'ZFS-8000-9P',
};
const OFFLINE: Problem = {
  status:
    'One or more devices has been taken offline by the administrator.\n\tSufficient replicas exist for the pool to continue functioning in a\n\tdegraded state.',
  action: "Online the device using 'zpool online' or replace the device with\n\t'zpool replace'.",
};
const MISSING: Problem = {
  status:
    'One or more devices could not be used because the label is missing or\n\tinvalid.  Sufficient replicas exist for the pool to continue\n\tfunctioning in a degraded state.',
  action: "Replace the device using 'zpool replace'.",
  message: 'ZFS-8000-4J',
};

function problemOf(pool: PoolRecord): Problem | undefined {
  const all = leaves(pool.vdevs);
  if (pool.errorCount > 0) return DAMAGED;
  if (all.some((vdev) => (vdev.checksumErrors ?? 0) > 0)) return REPAIRED;
  if (all.some((vdev) => vdev.state === 'OFFLINE')) return OFFLINE;
  return pool.health === 'ONLINE' ? undefined : MISSING;
}

/** Long options that only mean something for JSON, as the program names them. */
const JSON_ONLY = { F: '--json-flat-vdevs', J: '--json-int', G: 'json-pool-key-guid' } as const;

export function status(host: Host, call: Getopt, io: ToolIo): void {
  for (const [letter, name] of Object.entries(JSON_ONLY))
    if (has(call, letter) && !has(call, 'j')) throw new GetoptError(`'${name}' only works with '-j' option`);
  const pools = chosenPools(host, call.operands);
  if (has(call, 'j')) {
    const wanted = has(call, 'x') ? pools.filter((pool) => problemOf(pool) !== undefined) : pools;
    io.out(jsonText('zpool status', { pools: wanted, call }, (pool) => statusObject(host, pool, call)));
    return;
  }
  if (has(call, 'x') && pools.every((pool) => problemOf(pool) === undefined)) {
    const each = pools.map((pool) => `pool '${pool.name}' is healthy\n`).join('');
    io.out(call.operands.length === 0 ? 'all pools are healthy\n' : each);
    return;
  }
  if (pools.length === 0) io.err('no pools available\n');
  const shown = pools.filter((pool) => !has(call, 'x') || problemOf(pool) !== undefined);
  io.out(shown.map((pool) => statusText(host, pool, call)).join('\n'));
}

const LINK = 'https://openzfs.github.io/openzfs-docs/msg/';

function statusText(host: Host, pool: PoolRecord, call: Getopt): string {
  const problem = problemOf(pool);
  const see = problem?.message === undefined ? '' : `   see: ${LINK}${problem.message}\n`;
  const lines = problem === undefined ? '' : `status: ${problem.status}\naction: ${problem.action}\n${see}`;
  return `  pool: ${pool.name}\n state: ${pool.health}\n${lines}${scanText(pool)}${checkpointText(pool)}config:\n\n${configText(pool)}\nerrors: ${errorsText(host, pool, call)}\n`;
}

function scanText(pool: PoolRecord): string {
  const { scan } = pool;
  if (scan === undefined) return '';
  if (isScanning(pool))
    return `  scan: ${scan.function === 'SCRUB' ? 'scrub' : 'resilver'} in progress since ${fullDate(scan.startTime)}\n\t0B / ${humanSize(scan.examinedBytes)} scanned, 0B / ${humanSize(scan.examinedBytes)} issued\n\t0B repaired, 0.00% done, no estimated completion time\n`;
  if (scan.isCanceled === true)
    return `  scan: ${scan.function === 'SCRUB' ? 'scrub' : 'resilver'} canceled on ${fullDate(scan.endTime)}\n`;
  const seconds = Math.round(scan.endTime - scan.startTime);
  const time = [seconds / 3600, (seconds / 60) % 60, seconds % 60]
    .map((one) => String(Math.floor(one)).padStart(2, '0'))
    .join(':');
  const what = scan.function === 'SCRUB' ? 'scrub repaired' : 'resilvered';
  return `  scan: ${what} ${humanSize(scan.repairedBytes)} in ${time} with ${scan.errors} errors on ${fullDate(scan.endTime)}\n`;
}

/** As `ctime`: with seconds. */
function fullDate(seconds: number): string {
  const time = new Date(seconds * 1000).toTimeString().slice(0, 8);
  return dateText(seconds).replace(/ [ \d]\d:\d\d /, ` ${time} `);
}

/** JSON times are in the locale's date format, which names the zone (lib/libspl/timestamp.c format_timestamp). */
function zonedDate(seconds: number): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(seconds * 1000);
  const zone = parts.find((part) => part.type === 'timeZoneName')?.value ?? 'UTC';
  return fullDate(seconds).replace(/ (?=\d+$)/, ` ${zone} `);
}

function checkpointText(pool: PoolRecord): string {
  return pool.checkpointBytes === undefined
    ? ''
    : `checkpoint: created ${fullDate(Date.now() / 1000)}, consumes ${humanSize(pool.checkpointBytes)}\n`;
}

function errorsText(_host: Host, pool: PoolRecord, call: Getopt): string {
  if (pool.errorCount === 0) return 'No known data errors';
  if (!has(call, 'v')) return `${pool.errorCount} data errors, use '-v' for a list`;
  return 'Permanent errors have been detected in the following files:\n\n';
}

interface ConfigRow {
  readonly name: string;
  readonly state: string;
  readonly checksumErrors: number;
}

function rowsOf(pool: PoolRecord): ConfigRow[] {
  return [{ name: pool.name, state: pool.health, checksumErrors: 0 }, ...flat(pool.vdevs, 1)];
}

function flat(vdevs: readonly Vdev[], depth: number): ConfigRow[] {
  return vdevs.flatMap((vdev) => [
    { name: `${'  '.repeat(depth)}${vdev.name}`, state: vdev.state, checksumErrors: vdev.checksumErrors ?? 0 },
    ...flat(vdev.children ?? [], depth + 1),
  ]);
}

function configText(pool: PoolRecord): string {
  const rows = rowsOf(pool);
  const width = Math.max(4, ...rows.map((row) => row.name.length));
  const lines = rows.map(
    (row) =>
      `\t${row.name.padEnd(width)}  ${row.state.padEnd(8)} ${'0'.padStart(5)} ${'0'.padStart(5)} ${String(row.checksumErrors).padStart(5)}\n`,
  );
  return `\t${'NAME'.padEnd(width)}  ${'STATE'.padEnd(8)}  READ WRITE CKSUM\n${lines.join('')}`;
}

/** Without counters, as `zpool import` lists a pool that is not here. */
export function layoutText(pool: PoolRecord): string {
  const rows = rowsOf(pool);
  const width = Math.max(...rows.map((row) => row.name.length));
  return rows.map((row) => `\t${row.name.padEnd(width)}  ${row.state}\n`).join('');
}

function statusObject(host: Host, pool: PoolRecord, call: Getopt): object {
  const asNumber = has(call, 'J');
  const number = (value: number | string): string => (asNumber ? bare(value) : String(value));
  const problem = problemOf(pool);
  return {
    name: pool.name,
    state: pool.health,
    pool_guid: number(pool.guid),
    txg: number(4),
    spa_version: number(5000),
    zpl_version: number(5),
    ...(problem === undefined ? {} : { status: `${problem.status}\n`, action: `${problem.action}\n` }),
    ...(problem?.message === undefined ? {} : { msgid: problem.message, moreinfo: `${LINK}${problem.message}` }),
    ...scanObject(pool, call),
    vdevs: vdevsObject(host, pool, call),
    error_count: number(pool.errorCount),
  };
}

function scanObject(pool: PoolRecord, call: Getopt): object {
  const { scan } = pool;
  if (scan === undefined) return {};
  const exact = has(call, 'p') || has(call, 'J');
  const size = (bytes: number): string => (has(call, 'J') ? bare(bytes) : exact ? String(bytes) : humanSize(bytes));
  const time = (seconds: number): string =>
    has(call, 'J') ? bare(Math.floor(seconds)) : exact ? String(Math.floor(seconds)) : zonedDate(seconds);
  const count = (value: number): string => (has(call, 'J') ? bare(value) : String(value));
  const common = {
    function: scan.function,
    state: isScanning(pool) ? 'SCANNING' : scan.isCanceled === true ? 'CANCELED' : 'FINISHED',
    start_time: time(scan.startTime),
    end_time: time(scan.endTime),
    to_examine: size(scan.examinedBytes),
    examined: size(scan.examinedBytes),
    skipped: size(0),
    processed: size(scan.repairedBytes),
    errors: count(scan.errors),
    bytes_per_scan: size(scan.examinedBytes),
    pass_start: count(Math.floor(scan.startTime)),
    scrub_pause: exact ? count(0) : '-',
    scrub_spent_paused: count(0),
    issued_bytes_per_scan: size(scan.examinedBytes),
    issued: size(scan.examinedBytes),
  };
  return { scan_stats: common };
}

interface VdevPlace {
  readonly pool: PoolRecord;
  readonly parent: string;
  readonly call: Getopt;
  readonly alloc: number;
}

function vdevsObject(host: Host, pool: PoolRecord, call: Getopt): object {
  const alloc = usageOf(host, readPools(host)).get(pool.name)?.used ?? 0;
  const root: Vdev = { name: pool.name, state: pool.health, children: pool.vdevs };
  const place = { pool, parent: '', call, alloc };
  if (!has(call, 'F')) return { [pool.name]: vdevObject(host, root, place) };
  return Object.fromEntries(flatVdevs(host, root, place));
}

/** Every device by name, children before parents, each again with what is below it. */
function flatVdevs(host: Host, vdev: Vdev, place: VdevPlace): [string, object][] {
  const below = (vdev.children ?? []).flatMap((child) => flatVdevs(host, child, { ...place, parent: vdev.name }));
  return [...below, [vdev.name, vdevObject(host, vdev, place)]];
}

function vdevObject(host: Host, vdev: Vdev, place: VdevPlace): object {
  const { pool, call } = place;
  const number = (value: number | string): string => (has(call, 'J') ? bare(value) : String(value));
  const isRoot = vdev.name === pool.name;
  return {
    name: vdev.name,
    vdev_type: vdevType(vdev, pool),
    guid: number(isRoot ? pool.guid : vdevGuid(host, pool, vdev.name)),
    ...(vdev.name.startsWith('/') ? { path: vdev.name } : {}),
    class: 'normal',
    state: vdev.state,
    ...(has(call, 'F') && place.parent !== '' ? { parent: place.parent } : {}),
    ...spaceObject(host, vdev, place),
    read_errors: number(0),
    write_errors: number(0),
    checksum_errors: number(vdev.checksumErrors ?? 0),
    ...repairedObject(vdev, place, 'scan_processed'),
    ...(vdev.children === undefined ? { slow_ios: number(0) } : {}),
    ...childrenObject(host, vdev, place),
  };
}

/** What the last scan wrote to a device: to the one that came back or had errors. */
function repairedObject(vdev: Vdev, { pool, call }: VdevPlace, key: string): object {
  const { scan } = pool;
  if (scan === undefined) return {};
  const isTarget = scan.device === vdev.name || (scan.function === 'SCRUB' && (vdev.checksumErrors ?? 0) > 0);
  const bytes = isTarget ? scan.repairedBytes : 0;
  if (bytes === 0) return {};
  return { [key]: has(call, 'J') ? bare(bytes) : has(call, 'p') ? String(bytes) : humanSize(bytes) };
}

function vdevType(vdev: Vdev, pool: PoolRecord): string {
  if (vdev.name === pool.name) return 'root';
  if (vdev.children !== undefined) return vdev.name.split('-')[0] ?? '';
  return /^\/(?!dev\/)/.test(vdev.name) ? 'file' : 'disk';
}

/** What is used is counted at the top of the tree, what a device can hold below. */
function spaceObject(host: Host, vdev: Vdev, place: VdevPlace): object {
  const { pool, call } = place;
  const exact = has(call, 'p');
  const size = (bytes: number): string => (has(call, 'J') ? bare(bytes) : exact ? String(bytes) : humanSize(bytes));
  const isLeaf = vdev.children === undefined;
  const bytes = isLeaf
    ? (lstatSync(host.path(vdev.name), { throwIfNoEntry: false })?.size ?? pool.sizeBytes)
    : pool.sizeBytes;
  const used = { alloc_space: size(place.alloc), total_space: size(pool.sizeBytes), def_space: size(pool.sizeBytes) };
  return {
    ...(isLeaf && place.parent !== pool.name ? {} : used),
    ...(vdev.name === pool.name ? {} : { rep_dev_size: size(bytes) }),
    ...((vdev.checksumErrors ?? 0) > 0 ? repairedObject(vdev, place, 'self_healed') : {}),
    ...(isLeaf ? { phys_space: size(bytes) } : {}),
  };
}

function childrenObject(host: Host, vdev: Vdev, place: VdevPlace): object {
  if (vdev.children === undefined) return {};
  const inner = { ...place, parent: vdev.name };
  const own = has(place.call, 'F')
    ? vdev.children.flatMap((child) => flatVdevs(host, child, inner))
    : vdev.children.map((child): [string, object] => [child.name, vdevObject(host, child, inner)]);
  return { vdevs: Object.fromEntries(own) };
}
