/** `zpool list`, `zpool get` and `zpool set`. */
import { lstatSync } from 'node:fs';
import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { humanSize } from '../pool/properties.ts';
import { refuse } from '../pool/refuse.ts';
import { changePools, type PoolRecord, readPools, type Vdev } from '../pool/state.ts';
import { usageOf } from '../pool/usage.ts';
import { type Getopt, GetoptError, has, last } from './getopt.ts';
import { pairsOf } from './zfs-arguments.ts';
import { poolColumnWidth, poolTable } from './zpool-columns.ts';
import { bare, chosenPools, jsonText } from './zpool-pools.ts';
import { FEATURES, isPoolProperty, POOL_PROPERTIES, poolValueProblem, SETTABLE } from './zpool-properties.ts';

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
interface Cell {
  readonly value: string;
  readonly source: string;
}

function cellOf(host: Host, pool: PoolRecord, at: { property: string; exact: boolean }): Cell {
  const { property } = at;
  const given = pool.properties?.[property];
  if (given !== undefined) return { value: given, source: 'local' };
  const feature = FEATURES[property];
  if (feature !== undefined) return { value: feature, source: 'local' };
  const byDefault = SETTABLE[property];
  if (byDefault !== undefined) return { value: byDefault, source: 'default' };
  return { value: figures(host, pool, at.exact)[property] ?? '-', source: '-' };
}

function figures(host: Host, pool: PoolRecord, exact: boolean): Readonly<Record<string, string>> {
  const used = usageOf(host, readPools(host)).get(pool.name)?.used ?? 0;
  const size = (bytes: number): string => (exact ? String(bytes) : humanSize(bytes));
  const percent = (value: number): string => (exact ? String(value) : `${value}%`);
  return {
    name: pool.name,
    size: size(pool.sizeBytes),
    allocated: size(used),
    free: size(Math.max(0, pool.sizeBytes - used)),
    ...(pool.checkpointBytes === undefined ? {} : { checkpoint: size(pool.checkpointBytes) }),
    fragmentation: percent(0),
    capacity: percent(Math.floor((used * 100) / pool.sizeBytes)),
    dedupratio: exact ? '1.00' : '1.00x',
    health: pool.health,
    guid: pool.guid,
    freeing: size(0),
    leaked: size(0),
    bcloneused: size(0),
    bclonesaved: size(0),
    bcloneratio: exact ? '1.00' : '1.00x',
    dedup_table_size: size(0),
  };
}

function columnsOf(text: string): string[] {
  const columns = text.split(',').map((column) => ALIASES[column] ?? column);
  const unknown = columns.find((column) => !isPoolProperty(column));
  if (unknown !== undefined) throw new GetoptError(`bad property list: invalid property '${unknown}'`);
  return columns;
}

function requireJson(call: Getopt): void {
  if (has(call, 'j')) return;
  if (has(call, 'J')) throw new GetoptError("'--json-int' only works with '-j' option");
  if (has(call, 'G')) throw new GetoptError("'json-pool-key-guid' only works with '-j' option");
}

export function list(host: Host, call: Getopt, io: ToolIo): void {
  requireJson(call);
  const columns = last(call, 'o') === undefined ? [...COLUMNS] : columnsOf(last(call, 'o') ?? '');
  const pools = chosenPools(host, call.operands);
  if (has(call, 'j')) {
    io.out(jsonText('zpool list', { pools, call }, (pool) => poolObject(host, pool, { columns, call })));
    return;
  }
  const exact = has(call, 'p');
  const rows = pools.flatMap((pool) => [
    columns.map((property) => cellOf(host, pool, { property, exact }).value),
    ...(has(call, 'v')
      ? pool.vdevs.flatMap((vdev) => vdevRows(host, pool, { vdev, exact, isScripted: has(call, 'H') }))
      : []),
  ]);
  if (has(call, 'H')) io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else if (rows.length === 0) io.out('no pools available\n');
  else io.out(poolTable(columns, rows, { isExact: exact, nameWidth: nameWidth(rows, has(call, 'v')) }));
}

/** With devices it is never very narrow (cmd/zpool/zpool_main.c get_namewidth_list). */
function nameWidth(rows: readonly (readonly string[])[], hasDevices: boolean): number {
  return Math.max(hasDevices ? 9 : 'NAME'.length, ...rows.map((row) => row[0]?.length ?? 0));
}

/** A top-level device has figures of its own, what lies in it only its size. */
function vdevRows(host: Host, pool: PoolRecord, at: { vdev: Vdev; exact: boolean; isScripted: boolean }): string[][] {
  const values = figures(host, pool, at.exact);
  const named = (name: string, depth: number): string => (at.isScripted ? `\t${name}` : `${' '.repeat(depth)}${name}`);
  const top = ['size', 'allocated', 'free'].map((column) => values[column] ?? '-');
  const own = [
    named(at.vdev.name, 2),
    ...top,
    '-',
    '-',
    values['fragmentation'] ?? '-',
    at.exact ? (values['capacity'] ?? '-') : shareText(host, pool),
    '-',
    at.vdev.state,
  ];
  const below = (at.vdev.children ?? []).map((child) => {
    const bytes = lstatSync(host.path(child.name), { throwIfNoEntry: false })?.size ?? pool.sizeBytes;
    return [
      named(child.name, 4),
      at.exact ? String(bytes) : humanSize(bytes),
      '-',
      '-',
      '-',
      '-',
      '-',
      '-',
      '-',
      child.state,
    ];
  });
  return [own, ...below];
}

/** Of a device, hundredths are told (cmd/zpool/zpool_main.c collect_vdev_prop). */
function shareText(host: Host, pool: PoolRecord): string {
  const used = usageOf(host, readPools(host)).get(pool.name)?.used ?? 0;
  const permyriad = Math.floor((used * 10_000) / pool.sizeBytes);
  return `${(permyriad / 100).toFixed(permyriad < 1000 ? 2 : permyriad < 10_000 ? 1 : 0)}%`;
}

function poolObject(host: Host, pool: PoolRecord, at: { columns: readonly string[]; call: Getopt }): object {
  const asNumber = has(at.call, 'J');
  const number = (value: number | string): string => (asNumber ? bare(value) : String(value));
  const exact = has(at.call, 'p') || asNumber;
  const properties = at.columns
    .filter((column) => column !== 'name' || has(at.call, 'o'))
    .map((property): [string, object] => {
      const { value, source } = cellOf(host, pool, { property, exact });
      const type = source === '-' ? 'NONE' : source.toUpperCase();
      return [property, { value: asNumber && /^\d+$/.test(value) ? bare(value) : value, source: { type, data: '-' } }];
    });
  return {
    name: pool.name,
    type: 'POOL',
    state: pool.health,
    pool_guid: number(pool.guid),
    txg: number(4),
    spa_version: number(5000),
    zpl_version: number(5),
    properties: Object.fromEntries(properties.filter(([name]) => name !== 'name')),
  };
}

export function get(host: Host, call: Getopt, io: ToolIo): void {
  requireJson(call);
  const asked = call.operands[0];
  if (asked === undefined) throw new GetoptError('missing property argument');
  const fields = fieldsOf(last(call, 'o') ?? 'all');
  requirePools(host, call.operands.slice(1));
  const columns = asked === 'all' ? [...POOL_PROPERTIES, ...Object.keys(FEATURES)] : columnsOf(asked);
  const pools = chosenPools(host, call.operands.slice(1));
  if (has(call, 'j')) {
    io.out(jsonText('zpool get', { pools, call }, (pool) => poolObject(host, pool, { columns, call })));
    return;
  }
  const exact = has(call, 'p');
  const found = pools.flatMap((pool) =>
    columns.map((property) => ({ name: pool.name, property, ...cellOf(host, pool, { property, exact }) })),
  );
  const rows = found.map((cells: Readonly<Record<string, string>>) => fields.map((field) => cells[field] ?? '-'));
  if (has(call, 'H')) io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else io.out(leftTable([fields.map((field) => field.toUpperCase()), ...rows], valueWidth(columns, found, exact)));
}

/** Every property that is asked for has room, at its own width. */
function valueWidth(
  columns: readonly string[],
  found: readonly { readonly property: string; readonly value: string }[],
  exact: boolean,
): number {
  const valuesOf = (property: string): string[] =>
    found.flatMap((cell) => (cell.property === property ? cell.value : []));
  return Math.max(...columns.map((column) => poolColumnWidth(column, valuesOf(column), exact)));
}

const FIELDS = ['name', 'property', 'value', 'source'];

function fieldsOf(text: string): readonly string[] {
  const fields = text.split(',');
  const odd = fields.find((field) => field !== 'all' && !FIELDS.includes(field));
  if (odd !== undefined) throw new GetoptError(`invalid column name '${odd}'`);
  return fields[0] === 'all' ? FIELDS : fields;
}

/** After the first pool, names are devices of it; the stand-in knows no properties of devices. */
function requirePools(host: Host, names: readonly string[]): void {
  const known = new Set(readPools(host).pools.map((pool) => pool.name));
  const [first = ''] = names;
  if (names.every((name) => known.has(name))) return;
  if (!known.has(first)) refuse(`Cannot get properties of ${first}: no such pool available.`);
  const odd = names.slice(1).map((name) => `\t${name} (${known.has(name) ? 'pool' : 'unknown'})\n`);
  throw new GetoptError(`Expected a list of vdevs in "${first}", but got:\n${odd.join('')}`);
}

function leftTable(rows: readonly (readonly string[])[], least: number): string {
  const heads = rows[0] ?? [];
  const width = (i: number): number =>
    Math.max(heads[i] === 'VALUE' ? least : 0, ...rows.map((row) => row[i]?.length ?? 0));
  return rows
    .map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(width(i)))).join('  ')}\n`)
    .join('');
}

/** What `set` answers to a name that is no pool. */
const EINVAL = 22;

export function set(host: Host, call: Getopt): void {
  const [pair = '', name = ''] = call.operands;
  if (pair === '') throw new GetoptError('missing property=value argument');
  if (name === '') throw new GetoptError('missing pool name');
  if (call.operands.length > 3) throw new GetoptError('too many pool names');
  if (!pair.includes('=')) throw new GetoptError('missing value in property=value argument');
  if (!readPools(host).pools.some((pool) => pool.name === name)) refuse(`cannot open '${name}': is not a pool`, EINVAL);
  const [[property, value] = ['', '']] = pairsOf([pair], 1);
  const problem = poolValueProblem(property, value, 'set');
  if (problem !== undefined) refuse(`cannot set property for '${name}': ${problem}`);
  changePools(host, (state) => {
    const pool = state.pools.find((entry) => entry.name === name);
    if (pool !== undefined) pool.properties = { ...pool.properties, [property]: value };
  });
}
