/** `zfs list` and `zfs get`: choosing objects, sorting, and the three forms (table, tabs, JSON). */
import type { Host } from '../host.ts';
import { isUserProperty, NATIVE, propertyName } from '../pool/properties.ts';
import { poolOf } from '../pool/state.ts';
import { ToolError, type ToolIo } from '../tool.ts';
import { type Getopt, GetoptError, has, last } from './getopt.ts';
import {
  allObjects,
  objectNamed,
  typeOf,
  unknownProperty,
  type Value,
  type View,
  valueOf,
  viewOf,
  type ZfsObject,
} from './zfs-table.ts';

const TYPES: Readonly<Record<string, string>> = {
  filesystem: 'filesystem',
  fs: 'filesystem',
  volume: 'volume',
  vol: 'volume',
  snapshot: 'snapshot',
  snap: 'snapshot',
  bookmark: 'bookmark',
  all: 'all',
};
const LIST_COLUMNS = ['name', 'used', 'available', 'referenced', 'mountpoint'] as const;
const SPACE_COLUMNS = [
  'name',
  'available',
  'used',
  'usedbysnapshots',
  'usedbydataset',
  'usedbyrefreservation',
  'usedbychildren',
] as const;
const HEADS: Readonly<Record<string, string>> = { available: 'AVAIL', referenced: 'REFER', compressratio: 'RATIO' };
const TEXT_COLUMNS = new Set(['name', 'mountpoint', 'origin', 'type']);

interface Chosen {
  readonly objects: readonly ZfsObject[];
  readonly missing: readonly string[];
}

export function zfsList(host: Host, call: Getopt, io: ToolIo): void {
  requireJson(call);
  const view = viewOf(host);
  const columns = columnsOf(last(call, 'o'));
  const chosen = choose(view, call, { names: call.operands, byDefault: ['filesystem', 'volume'] });
  const objects = sortRows(view, call, chosen.objects);
  if (objects.length > 0 || chosen.missing.length === 0) printList(view, call, { objects, columns, io });
  finish(chosen, io);
}

/** Says what was not found; status 1 then. */
function finish(chosen: Chosen, io: ToolIo): void {
  if (chosen.missing.length === 0) return;
  for (const name of chosen.missing.slice(0, -1)) io.err(missingText(name));
  throw new ToolError(missingText(chosen.missing.at(-1) ?? ''), 1);
}

function missingText(name: string): string {
  return name.startsWith('/') ? `'${name}': not a ZFS filesystem\n` : `cannot open '${name}': dataset does not exist\n`;
}

function columnsOf(list: string | undefined): string[] {
  if (list === 'space') return [...SPACE_COLUMNS];
  const columns = list?.split(',').map(propertyName) ?? [...LIST_COLUMNS];
  const unknown = unknownProperty(columns);
  if (unknown !== undefined) throw new GetoptError(`bad property list: invalid property '${unknown}'`);
  return columns;
}

function typesOf(call: Getopt, byDefault: readonly string[]): Set<string> {
  const words = last(call, 't')?.split(',');
  if (words === undefined) return new Set(byDefault);
  const types = words.map((word) => TYPES[word] ?? refuseType(word));
  return new Set(types.includes('all') ? ['filesystem', 'volume', 'snapshot'] : types);
}

function refuseType(word: string): never {
  throw new GetoptError(`invalid type '${word}'`);
}

/** Named objects, with what lies below when -r, -d or a type other than their own asks for it. */
function choose(view: View, call: Getopt, at: { names: readonly string[]; byDefault: readonly string[] }): Chosen {
  const depth =
    last(call, 'd') === undefined ? (has(call, 'r') ? Number.POSITIVE_INFINITY : 0) : Number(last(call, 'd'));
  const types = typesOf(call, at.byDefault);
  const all = allObjects(view.state);
  if (at.names.length === 0) return { objects: all.filter((object) => types.has(typeOf(object))), missing: [] };
  const missing: string[] = [];
  const wanted = new Set<string>();
  for (const argument of at.names) {
    const object = objectNamed(view, argument);
    if (object === undefined) missing.push(argument);
    else
      for (const found of below(all, object, depth))
        if (found.name === object.name && object.snapshot !== undefined ? true : types.has(typeOf(found)))
          wanted.add(found.name);
  }
  return { objects: all.filter((object) => wanted.has(object.name)), missing };
}

/** A snapshot is one level below its dataset. */
function below(all: readonly ZfsObject[], top: ZfsObject, depth: number): ZfsObject[] {
  const levels = (name: string): number => name.split(/[/@]/).length;
  return all.filter(
    (object) =>
      object.name === top.name ||
      (/^[/@]/.test(object.name.slice(top.name.length)) &&
        object.name.startsWith(top.name) &&
        levels(object.name) - levels(top.name) <= depth),
  );
}

function sortRows(view: View, call: Getopt, objects: readonly ZfsObject[]): ZfsObject[] {
  const keys = ['s', 'S'].flatMap((letter) =>
    (call.options.get(letter) ?? []).map((property) => ({ property, sign: letter === 's' ? 1 : -1 })),
  );
  const compare = (a: ZfsObject, b: ZfsObject): number => {
    for (const { property, sign } of keys) {
      const [left, right] = [a, b].map((object) => valueOf(view, object, { property, exact: true }).value);
      if (left === right || left === undefined || right === undefined) continue;
      const order = /^\d+$/.test(left) && /^\d+$/.test(right) ? Number(left) - Number(right) : left < right ? -1 : 1;
      return order * sign;
    }
    return 0;
  };
  return keys.length === 0 ? [...objects] : [...objects].sort(compare);
}

function printList(
  view: View,
  call: Getopt,
  at: { objects: readonly ZfsObject[]; columns: readonly string[]; io: ToolIo },
): void {
  const { objects, columns, io } = at;
  const rows = objects.map((object) =>
    columns.map((property) => valueOf(view, object, { property, exact: has(call, 'p') })),
  );
  if (has(call, 'j')) {
    io.out(
      jsonOf('zfs list', objects, (object) =>
        Object.fromEntries(
          columns
            .filter((column) => column !== 'name')
            .map((property) => [
              property,
              jsonValue(valueOf(view, object, { property, exact: has(call, 'p') || has(call, 'J') }), has(call, 'J')),
            ]),
        ),
      ),
    );
    if (objects.length === 0) io.err('no datasets available\n');
    return;
  }
  if (has(call, 'H')) {
    io.out(rows.map((row) => `${row.map((cell) => cell.value).join('\t')}\n`).join(''));
    return;
  }
  if (rows.length === 0) {
    io.err('no datasets available\n');
    return;
  }
  const heads = columns.map((column) => HEADS[column] ?? column.toUpperCase());
  io.out(aligned([heads, ...rows.map((row) => row.map((cell) => cell.value))], columns));
}

/** Text columns to the left, numbers to the right, the last one unpadded. */
function aligned(rows: readonly (readonly string[])[], columns: readonly string[]): string {
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  const cell = (text: string, i: number): string =>
    TEXT_COLUMNS.has(columns[i] ?? '')
      ? i === columns.length - 1
        ? text
        : text.padEnd(widths[i] ?? 0)
      : text.padStart(widths[i] ?? 0);
  return rows.map((row) => `${row.map(cell).join('  ')}\n`).join('');
}

function requireJson(call: Getopt): void {
  if (has(call, 'J') && !has(call, 'j')) throw new GetoptError("'--json-int' only works with '-j' option");
}

export function zfsGet(host: Host, call: Getopt, io: ToolIo): void {
  requireJson(call);
  const view = viewOf(host);
  const list = call.operands[0];
  if (list === undefined) throw new GetoptError('missing property argument');
  const asked = list === 'all' ? undefined : list.split(',').map(propertyName);
  const unknown = asked === undefined ? undefined : unknownProperty(asked);
  if (unknown !== undefined) throw new GetoptError(`bad property list: invalid property '${unknown}'`);
  const chosen = choose(view, call, { names: call.operands.slice(1), byDefault: ['filesystem', 'volume', 'snapshot'] });
  const rows = chosen.objects.flatMap((object) =>
    (asked ?? everyProperty(object)).map((property) => ({
      object,
      property,
      value: valueOf(view, object, { property, exact: has(call, 'p') || has(call, 'J') }),
    })),
  );
  const sources = last(call, 's')?.split(',');
  const kept = rows.filter(({ value }) => sources === undefined || sources.includes(sourceWord(value.source)));
  if (has(call, 'j')) {
    io.out(
      jsonOf('zfs get', chosen.objects, (object) =>
        Object.fromEntries(
          kept
            .filter((row) => row.object === object)
            .map((row) => [row.property, jsonValue(row.value, has(call, 'J'))]),
        ),
      ),
    );
    finish(chosen, io);
    return;
  }
  const fields = (last(call, 'o') ?? 'name,property,value,source')
    .replace(/^all$/, 'name,property,value,source')
    .split(',');
  const lines = kept.map((row) =>
    fields.map(
      (field) =>
        ({ name: row.object.name, property: row.property, value: row.value.value, source: row.value.source })[field] ??
        '-',
    ),
  );
  if (has(call, 'H')) io.out(lines.map((line) => `${line.join('\t')}\n`).join(''));
  else if (lines.length > 0)
    io.out(
      aligned(
        [fields.map((field) => field.toUpperCase()), ...lines],
        fields.map(() => 'name'),
      ),
    );
  finish(chosen, io);
}

function sourceWord(source: string): string {
  return source === '-' ? 'none' : (source.split(' ')[0] ?? source);
}

function everyProperty(object: ZfsObject): string[] {
  const own = Object.keys(object.snapshot?.properties ?? object.dataset.properties).filter(isUserProperty);
  const native = Object.keys(NATIVE).filter((property) => property !== 'name');
  return [
    ...(object.snapshot === undefined
      ? native
      : ['type', 'creation', 'used', 'referenced', 'createtxg', 'guid', 'userrefs', 'defer_destroy']),
    ...own,
  ];
}

const SOURCES: Readonly<Record<string, string>> = {
  none: 'NONE',
  local: 'LOCAL',
  default: 'DEFAULT',
  inherited: 'INHERITED',
};

/** Numbers as numbers when asked for; a guid beyond 2^63 is clamped then, as the real program does. */
function jsonValue({ value, source }: Value, asNumber: boolean): unknown {
  const data = source.startsWith('inherited from ') ? source.slice('inherited from '.length) : '-';
  const number = asNumber && /^\d+$/.test(value) ? Number(value) : value;
  return { value: number, source: { type: SOURCES[sourceWord(source)] ?? 'NONE', data } };
}

function jsonOf(command: string, objects: readonly ZfsObject[], properties: (object: ZfsObject) => unknown): string {
  const entry = (object: ZfsObject): unknown => ({
    name: object.name,
    type: typeOf(object).toUpperCase(),
    pool: poolOf(object.name),
    createtxg: String(object.snapshot?.createtxg ?? object.dataset.createtxg),
    ...(object.snapshot === undefined ? {} : { dataset: object.dataset.name, snapshot_name: object.snapshot.name }),
    properties: properties(object),
  });
  return `${JSON.stringify({ output_version: { command, vers_major: 0, vers_minor: 1 }, datasets: Object.fromEntries(objects.map((object) => [object.name, entry(object)])) })}\n`;
}
