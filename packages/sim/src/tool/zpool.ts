/** `zpool list`, `zpool status` and `zpool get` of the stand-in (openzfs/zfs cmd/zpool/zpool_main.c). Pools are made by createPool. */
import type { Host } from '../host.ts';
import { humanSize } from '../pool/properties.ts';
import { type PoolRecord, readPools, type Vdev } from '../pool/state.ts';
import { usageOf } from '../pool/usage.ts';
import { type Tool, ToolError, type ToolIo } from '../tool.ts';
import { type Getopt, GetoptError, getopt, has, last } from './getopt.ts';
import { ZFS_VERSION } from './zfs.ts';

const COLUMNS = [
  'name',
  'size',
  'allocated',
  'free',
  'checkpoint',
  'expandsize',
  'fragmentation',
  'capacity',
  'dedupratio',
  'health',
  'altroot',
] as const;
const ALIASES: Readonly<Record<string, string>> = {
  alloc: 'allocated',
  ckpoint: 'checkpoint',
  expandsz: 'expandsize',
  frag: 'fragmentation',
  cap: 'capacity',
  dedup: 'dedupratio',
};
const HEADS: Readonly<Record<string, string>> = {
  allocated: 'ALLOC',
  checkpoint: 'CKPOINT',
  expandsize: 'EXPANDSZ',
  fragmentation: 'FRAG',
  capacity: 'CAP',
  dedupratio: 'DEDUP',
};
const LIST_USAGE =
  'list [-gHLpPv] [-o property[,...]] [-j [--json-int, --json-pool-key-guid]] ...\n\t    [-T d|u] [pool] [interval [count]]';

type Verb = (host: Host, argv: readonly string[], io: ToolIo) => void;

const checkNames: Verb = (host, argv) => {
  chosenPools(host, argv);
};
const version: Verb = (_host, _argv, io) => {
  io.out(`${ZFS_VERSION}\n${ZFS_VERSION.replace('zfs-', 'zfs-kmod-')}\n`);
};
const STATUS_LONG = { 'json-int': 'J', 'json-flat-vdevs': 'F', 'json-pool-key-guid': 'G' } as const;

const VERBS: Readonly<Record<string, Verb>> = {
  list: (host, argv, io) => {
    list(host, getopt(argv, 'gHLpPvjo:T:'), io);
  },
  status: (host, argv, io) => {
    status(host, getopt(argv, 'xvpgLPtj', STATUS_LONG), io);
  },
  get: (host, argv, io) => {
    get(host, getopt(argv, 'Hpjo:'), io);
  },
  sync: checkNames,
  scrub: checkNames,
  clear: checkNames,
  version,
  '--version': version,
};

export const zpool: Tool = async (host, argv, io) => {
  const [word = '', ...rest] = argv;
  try {
    const verb = VERBS[word];
    if (verb === undefined) throw new GetoptError(word === '' ? 'missing command' : `unrecognized command '${word}'`);
    verb(host, rest, io);
    return 0;
  } catch (err) {
    if (err instanceof GetoptError) {
      io.err(`${err.message}\nusage:\n\t${LIST_USAGE}\n`);
      return 2;
    }
    if (!(err instanceof ToolError)) throw err;
    io.err(err.message);
    return err.status;
  }
};

function chosenPools(host: Host, names: readonly string[]): PoolRecord[] {
  const { pools } = readPools(host);
  const absent = names.find((name) => !pools.some((pool) => pool.name === name));
  if (absent !== undefined) throw new ToolError(`cannot open '${absent}': no such pool\n`, 1);
  return (names.length === 0 ? pools : pools.filter((pool) => names.includes(pool.name))).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

function valuesOf(host: Host, pool: PoolRecord, exact: boolean): Readonly<Record<string, string>> {
  const used = usageOf(host, readPools(host)).get(pool.name)?.used ?? 0;
  const size = (bytes: number): string => (exact ? String(bytes) : humanSize(bytes));
  const percent = Math.floor((used * 100) / pool.sizeBytes);
  return {
    name: pool.name,
    size: size(pool.sizeBytes),
    allocated: size(used),
    free: size(Math.max(0, pool.sizeBytes - used)),
    checkpoint: '-',
    expandsize: '-',
    fragmentation: exact ? '0' : '0%',
    capacity: exact ? String(percent) : `${percent}%`,
    dedupratio: exact ? '1.00' : '1.00x',
    health: pool.health,
    altroot: '-',
    guid: pool.guid,
  };
}

function columnsOf(text: string | undefined): string[] {
  const columns = text?.split(',').map((column) => ALIASES[column] ?? column) ?? [...COLUMNS];
  const unknown = columns.find((column) => column !== 'guid' && !COLUMNS.some((known) => known === column));
  if (unknown !== undefined) throw new GetoptError(`bad property list: invalid property '${unknown}'`);
  return columns;
}

function list(host: Host, call: Getopt, io: ToolIo): void {
  const columns = columnsOf(last(call, 'o'));
  const pools = chosenPools(host, call.operands);
  const rows = pools.map((pool) => columns.map((column) => valuesOf(host, pool, has(call, 'p'))[column] ?? '-'));
  if (has(call, 'j')) {
    const properties = (row: readonly string[]): unknown =>
      Object.fromEntries(columns.map((column, i) => [column, { value: row[i], source: { type: 'NONE', data: '-' } }]));
    io.out(
      json('zpool list', pools, (pool, i) => ({
        name: pool.name,
        type: 'POOL',
        state: pool.health,
        pool_guid: pool.guid,
        properties: properties(rows[i] ?? []),
      })),
    );
    return;
  }
  if (has(call, 'H')) {
    io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
    return;
  }
  if (rows.length === 0) {
    io.out('no pools available\n');
    return;
  }
  const table = [columns.map((column) => HEADS[column] ?? column.toUpperCase()), ...rows];
  const widths = columns.map((_, i) => Math.max(...table.map((row) => (row[i] ?? '').length)));
  io.out(
    table
      .map(
        (row) =>
          `${row.map((cell, i) => (i === 0 || i >= columns.length - 2 ? cell.padEnd(i === columns.length - 1 ? 0 : (widths[i] ?? 0)) : cell.padStart(widths[i] ?? 0))).join('  ')}\n`,
      )
      .join(''),
  );
}

function get(host: Host, call: Getopt, io: ToolIo): void {
  const columns = call.operands[0] === 'all' ? [...COLUMNS] : columnsOf(call.operands[0]);
  for (const pool of chosenPools(host, call.operands.slice(1))) {
    const values = valuesOf(host, pool, has(call, 'p'));
    for (const column of columns)
      io.out(
        last(call, 'o') === 'value'
          ? `${values[column] ?? '-'}\n`
          : `${pool.name}\t${column}\t${values[column] ?? '-'}\t-\n`,
      );
  }
}

function isHealthy(pool: PoolRecord): boolean {
  return pool.health === 'ONLINE' && pool.errorCount === 0;
}

function status(host: Host, call: Getopt, io: ToolIo): void {
  const pools = chosenPools(host, call.operands);
  if (has(call, 'j')) {
    io.out(json('zpool status', pools, (pool) => statusObject(pool, has(call, 'J'))));
    return;
  }
  if (has(call, 'x') && pools.every(isHealthy)) {
    io.out(
      call.operands.length === 0
        ? 'all pools are healthy\n'
        : pools.map((pool) => `pool '${pool.name}' is healthy\n`).join(''),
    );
    return;
  }
  io.out(
    pools
      .filter((pool) => !has(call, 'x') || !isHealthy(pool))
      .map(statusText)
      .join('\n'),
  );
}

function statusText(pool: PoolRecord): string {
  const rows = [{ name: pool.name, state: pool.health }, ...flat(pool.vdevs, 1)];
  const width = Math.max(4, ...rows.map((row) => row.name.length));
  const table = rows.map((row) => `\t${row.name.padEnd(width)}  ${row.state.padEnd(8)}     0     0     0\n`).join('');
  const errors = pool.errorCount === 0 ? 'No known data errors' : `${pool.errorCount} data errors, use '-v' for a list`;
  return `  pool: ${pool.name}\n state: ${pool.health}\nconfig:\n\n\t${'NAME'.padEnd(width)}  ${'STATE'.padEnd(8)}  READ WRITE CKSUM\n${table}\nerrors: ${errors}\n`;
}

function flat(vdevs: readonly Vdev[], depth: number): { name: string; state: string }[] {
  return vdevs.flatMap((vdev) => [
    { name: `${'  '.repeat(depth)}${vdev.name}`, state: vdev.state },
    ...flat(vdev.children ?? [], depth + 1),
  ]);
}

function statusObject(pool: PoolRecord, asNumber: boolean): unknown {
  const number = (value: number): unknown => (asNumber ? value : String(value));
  const vdev = (entry: Vdev): unknown => ({
    name: entry.name,
    vdev_type: entry.children === undefined ? 'disk' : (entry.name.split('-')[0] ?? ''),
    class: 'normal',
    state: entry.state,
    read_errors: number(0),
    write_errors: number(0),
    checksum_errors: number(0),
    ...(entry.children === undefined ? {} : { vdevs: named(entry.children) }),
  });
  const named = (entries: readonly Vdev[]): unknown =>
    Object.fromEntries(entries.map((entry) => [entry.name, vdev(entry)]));
  return {
    name: pool.name,
    state: pool.health,
    pool_guid: pool.guid,
    txg: number(4),
    spa_version: number(5000),
    zpl_version: number(5),
    vdevs: { [pool.name]: { name: pool.name, vdev_type: 'root', state: pool.health, vdevs: named(pool.vdevs) } },
    error_count: number(pool.errorCount),
  };
}

function json(
  command: string,
  pools: readonly PoolRecord[],
  entry: (pool: PoolRecord, index: number) => unknown,
): string {
  return `${JSON.stringify({ output_version: { command, vers_major: 0, vers_minor: 1 }, pools: Object.fromEntries(pools.map((pool, i) => [pool.name, entry(pool, i)])) })}\n`;
}
