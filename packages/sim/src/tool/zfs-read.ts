/** `zfs list` and `zfs get`: the rows and their three forms (table, tabs, JSON). */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { isKnownProperty, isUserProperty } from '../pool/properties.ts';
import { NATIVE, propertyName } from '../pool/property-table.ts';
import { poolOf } from '../pool/state.ts';
import { type Getopt, GetoptError, has, last } from './getopt.ts';
import { columnWidth, table } from './zfs-columns.ts';
import { typeOf, type View, type ZfsObject } from './zfs-object.ts';
import { type Chosen, choose, sortRows } from './zfs-objects.ts';
import { type Value, valueOf, viewOf } from './zfs-table.ts';

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
export function zfsList(host: Host, call: Getopt, io: ToolIo): void {
  requireJson(call);
  const view = viewOf(host);
  const asked = listColumns(last(call, 'o'));
  const chosen = choose(view, call, { names: call.operands, byDefault: ['filesystem', 'volume'] });
  const objects = sortRows(view, call, chosen.objects);
  const columns = asked ?? ['name', ...everyName(objects)];
  if (objects.length > 0 || chosen.problems.length === 0) printList(view, call, { objects, columns, io });
  finish(chosen, io);
}

/** Says what was not found; status 1 then. */
function finish(chosen: Chosen, io: ToolIo): void {
  if (chosen.problems.length === 0) return;
  for (const text of chosen.problems.slice(0, -1)) io.err(text);
  throw new ToolError(chosen.problems.at(-1) ?? '', 1);
}

/** undefined: all that there are. */
function listColumns(list: string | undefined): string[] | undefined {
  if (list === 'all') return undefined;
  if (list === 'space') return [...SPACE_COLUMNS];
  return list === undefined ? [...LIST_COLUMNS] : knownProperties(list);
}

function knownProperties(list: string): string[] {
  const names = list.split(',').map(propertyName);
  const unknown = names.find((name) => !isKnownProperty(name));
  if (unknown !== undefined) throw new GetoptError(`bad property list: invalid property '${unknown}'`);
  return names;
}

function printList(
  view: View,
  call: Getopt,
  at: { objects: readonly ZfsObject[]; columns: readonly string[]; io: ToolIo },
): void {
  const { objects, columns, io } = at;
  const exact = has(call, 'p') || has(call, 'J');
  const rowOf = (object: ZfsObject): Value[] => columns.map((property) => valueOf(view, object, { property, exact }));
  if (has(call, 'j')) {
    io.out(
      jsonOf('zfs list', { objects, asNumber: has(call, 'J') }, (object) =>
        listed(columns, rowOf(object), has(call, 'J')),
      ),
    );
    if (objects.length === 0) io.err('no datasets available\n');
    return;
  }
  const rows = objects.map((object) => rowOf(object).map((cell) => cell.value));
  if (has(call, 'H')) io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else if (rows.length === 0) io.err('no datasets available\n');
  else io.out(table(columns, rows, has(call, 'p')));
}

/** What an object does not have carries the source of the property before it: the real program forgets to reset it. */
function listed(columns: readonly string[], row: readonly Value[], asNumber: boolean): unknown {
  let before = '-';
  const entries: [string, unknown][] = [];
  for (const [i, column] of columns.entries()) {
    const cell = row[i] ?? { value: '-', source: '-' };
    const isForgotten = cell.isAbsent === true && NATIVE.has(column) && column !== 'origin';
    const source = isForgotten ? before : cell.source;
    before = source;
    if (column !== 'name') entries.push([column, jsonValue({ ...cell, source }, asNumber)]);
  }
  return Object.fromEntries(entries);
}

function requireJson(call: Getopt): void {
  if (has(call, 'J') && !has(call, 'j')) throw new GetoptError("'--json-int' only works with '-j' option");
}

interface GetRow {
  readonly object: ZfsObject;
  readonly property: string;
  readonly value: Value;
}

type Field = 'name' | 'property' | 'value' | 'received' | 'source';

const FIELDS: readonly Field[] = ['name', 'property', 'value', 'source'];
const ALL_FIELDS: readonly Field[] = ['name', 'property', 'value', 'received', 'source'];

export function zfsGet(host: Host, call: Getopt, io: ToolIo): void {
  requireJson(call);
  const view = viewOf(host);
  const list = call.operands[0];
  if (list === undefined) throw new GetoptError('missing property argument');
  const asked = list === 'all' ? undefined : knownProperties(list);
  const fields = getFields(last(call, 'o'));
  const sources = sourceWords(last(call, 's'));
  const chosen = choose(view, call, { names: call.operands.slice(1), byDefault: ['filesystem', 'volume', 'snapshot'] });
  const exact = has(call, 'p') || has(call, 'J');
  const rows = chosen.objects
    .flatMap((object) =>
      (asked ?? everyProperty(object)).map((property) => ({
        object,
        property,
        value: valueOf(view, object, { property, exact }),
      })),
    )
    .filter(({ value }) => asked !== undefined || value.isAbsent !== true)
    .filter(({ value }) => sources === undefined || sources.has(sourceWord(value.source)));
  const listed = asked ?? everyName(chosen.objects);
  const widths = (): Record<Field, number> => getWidths(view, { objects: chosen.objects, listed, rows });
  if (chosen.objects.length > 0 || chosen.problems.length === 0) printGet(call, { rows, chosen, fields, io, widths });
  finish(chosen, io);
}

/**
 * The value column has room for every property that is listed, at its own width and as people read it, also with -p
 * (lib/libzfs/libzfs_util.c zprop_print_headers).
 */
function getWidths(
  view: View,
  at: { objects: readonly ZfsObject[]; listed: readonly string[]; rows: readonly GetRow[] },
): Record<Field, number> {
  const longest = (least: number, texts: readonly string[]): number =>
    Math.max(least, ...texts.map((text) => text.length));
  const name = longest(
    'NAME'.length,
    at.objects.map((object) => object.name),
  );
  const valueWidth = (property: string): number => {
    const values = at.objects.map((object) => valueOf(view, object, { property, exact: false }));
    return columnWidth(
      property,
      values.flatMap((found) => (found.isAbsent === true ? [] : found.value)),
    );
  };
  return {
    name,
    property: longest('PROPERTY'.length, at.listed),
    value: Math.max('VALUE'.length, ...at.listed.map(valueWidth)),
    received: longest('RECEIVED'.length, at.rows.map(receivedValue)),
    source: name > 'NAME'.length ? name + 'inherited from'.length : 'SOURCE'.length,
  };
}

function receivedValue({ object, property }: GetRow): string {
  return (object.snapshot === undefined ? object.dataset.received?.[property] : undefined) ?? '-';
}

function printGet(
  call: Getopt,
  at: {
    rows: readonly GetRow[];
    chosen: Chosen;
    fields: readonly Field[];
    io: ToolIo;
    widths: () => Record<Field, number>;
  },
): void {
  const { rows, fields, io } = at;
  if (has(call, 'j')) {
    io.out(
      jsonOf('zfs get', { objects: at.chosen.objects, asNumber: has(call, 'J') }, (object) =>
        Object.fromEntries(
          rows
            .filter((row) => row.object === object)
            .map((row) => [row.property, jsonValue(row.value, has(call, 'J'))]),
        ),
      ),
    );
    return;
  }
  const lines = rows.map((row) => {
    const { object, property, value } = row;
    const cells = {
      name: object.name,
      property,
      value: value.value,
      source: value.source,
      received: receivedValue(row),
    };
    return fields.map((field) => cells[field]);
  });
  if (has(call, 'H')) io.out(lines.map((line) => `${line.join('\t')}\n`).join(''));
  else if (lines.length > 0) {
    const widths = at.widths();
    const padded = (line: readonly string[]): string =>
      line.map((text, i) => (i === line.length - 1 ? text : text.padEnd(widths[fields[i] ?? 'name']))).join('  ');
    io.out([fields.map((field) => field.toUpperCase()), ...lines].map((line) => `${padded(line)}\n`).join(''));
  }
}

function getFields(list: string | undefined): readonly Field[] {
  if (list === undefined) return FIELDS;
  let fields: Field[] = [];
  for (const word of list.split(',')) {
    if (fields.length === ALL_FIELDS.length) throw new GetoptError('too many fields given to -o option');
    const field = ALL_FIELDS.find((known) => known === word);
    if (field === undefined && word !== 'all') throw new GetoptError(`invalid column name '${word}'`);
    if (word === 'all' && fields.length > 0)
      throw new GetoptError('"all" conflicts with specific fields given to -o option');
    fields = field === undefined ? [...ALL_FIELDS] : [...fields, field];
  }
  return fields;
}

const SOURCES: Readonly<Record<string, string>> = {
  none: 'NONE',
  local: 'LOCAL',
  default: 'DEFAULT',
  received: 'RECEIVED',
  temporary: 'TEMPORARY',
  inherited: 'INHERITED',
};

function sourceWords(list: string | undefined): Set<string> | undefined {
  const words = list?.split(',');
  const unknown = words?.find((word) => SOURCES[word] === undefined);
  if (unknown !== undefined) throw new GetoptError(`invalid source '${unknown}'`);
  return words === undefined ? undefined : new Set(words);
}

function sourceWord(source: string): string {
  return source === '-' ? 'none' : (source.split(' ')[0] ?? source);
}

function everyProperty(object: ZfsObject): string[] {
  const { dataset, snapshot } = object;
  const own = { ...(snapshot === undefined ? dataset.received : {}), ...(snapshot?.properties ?? dataset.properties) };
  const kind = typeOf(object).charAt(0);
  const native = [...NATIVE.values()].filter((rule) => rule.kinds.includes(kind)).map((rule) => rule.name);
  return [
    ...(kind === 'b' ? ['type', 'creation', 'referenced', 'createtxg', 'guid'] : native),
    ...Object.keys(own).filter(isUserProperty),
  ];
}

/** Of all of them together, whichever kind each belongs to. */
function everyName(objects: readonly ZfsObject[]): string[] {
  return [...new Set([...NATIVE.keys(), ...objects.flatMap(everyProperty)])];
}

/** Numbers as numbers when asked for; a guid beyond 2^63 is clamped then, as the real program does. */
function jsonValue({ value, source }: Value, asNumber: boolean): unknown {
  const data = source.startsWith('inherited from ') ? source.slice('inherited from '.length) : '-';
  return { value: asNumber ? jsonNumber(value) : value, source: { type: SOURCES[sourceWord(source)] ?? 'NONE', data } };
}

const LARGEST = 2n ** 63n - 1n;
/** Stands for a bare number in the text that JSON.stringify makes; numbers of 64 bits do not survive otherwise. */
const BARE = '\u0000';

function jsonNumber(value: string): string {
  if (!/^\d+$/.test(value)) return value;
  const number = BigInt(value);
  return `${BARE}${number > LARGEST ? LARGEST : number}${BARE}`;
}

function jsonOf(
  command: string,
  at: { objects: readonly ZfsObject[]; asNumber: boolean },
  properties: (object: ZfsObject) => unknown,
): string {
  const entry = (object: ZfsObject): unknown => {
    const { createtxg } = object.snapshot ?? object.bookmark ?? object.dataset;
    const mark = object.snapshot?.name ?? object.bookmark?.name;
    return {
      name: object.name,
      type: typeOf(object).toUpperCase(),
      pool: poolOf(object.name),
      createtxg: at.asNumber ? createtxg : String(createtxg),
      ...(mark === undefined
        ? {}
        : { dataset: object.dataset.name, [object.snapshot === undefined ? 'bookmark' : 'snapshot_name']: mark }),
      properties: properties(object),
    };
  };
  const text = JSON.stringify({
    output_version: { command, vers_major: 0, vers_minor: 1 },
    datasets: Object.fromEntries(at.objects.map((object) => [object.name, entry(object)])),
  });
  return `${text.replaceAll(/"\\u0000(\d+)\\u0000"/g, '$1')}\n`;
}
