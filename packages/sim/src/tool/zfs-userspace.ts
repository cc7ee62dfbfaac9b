/** `zfs userspace` and `zfs groupspace`: who holds how much in the files of a dataset. */
import type { Stats } from 'node:fs';
import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { openText } from '../pool/names.ts';
import { humanSize, propertyHolder } from '../pool/properties.ts';
import { refuse } from '../pool/refuse.ts';
import { readPools } from '../pool/state.ts';
import { type Getopt, has, last } from './getopt.ts';
import { missing, operands } from './zfs-arguments.ts';
import { treeNamed } from './zfs-files.ts';
import type { ZfsObject } from './zfs-object.ts';
import { objectNamed, pathProblem, viewOf } from './zfs-table.ts';

type Kind = 'User' | 'Group';

const FIELDS = ['type', 'name', 'used', 'quota', 'objused', 'objquota'];
const TYPES = ['posixgroup', 'posixuser', 'smbgroup', 'smbuser', 'all'];
const BLOCK_BYTES = 512;

interface Total {
  readonly kind: Kind;
  readonly id: number;
  bytes: number;
  objects: number;
}

export function userspace(host: Host, call: Getopt, at: { io: ToolIo; kind: Kind }): void {
  const [name = ''] = operands(call, 'missing dataset name');
  const fields = fieldsOf(call);
  const kinds = kindsOf(call, at.kind);
  requireSortable(call);
  const object = opened(host, name);
  const files = [...treeNamed(host, readPools(host), object.name).values()];
  const totals = kinds.flatMap((kind) => totalsOf(object, kind, files));
  const rows = totals.map((total) => {
    const cells = cellsOf(call, object, total);
    return fields.map((field) => cells[field] ?? '-');
  });
  if (has(call, 'H')) at.io.out(rows.map((row) => `${row.join('\t')}\n`).join(''));
  else if (rows.length > 0) at.io.out(table(fields, rows));
}

function fieldsOf(call: Getopt): readonly string[] {
  const fields = last(call, 'o')?.split(',') ?? FIELDS;
  const odd = fields.find((field) => !FIELDS.includes(field));
  if (odd !== undefined) throw new ToolError(`invalid type '${odd}' for -o option\n`, 255);
  return fields;
}

function kindsOf(call: Getopt, byDefault: Kind): readonly Kind[] {
  const types = last(call, 't')?.split(',');
  const odd = types?.find((type) => !TYPES.includes(type));
  if (odd !== undefined) throw new ToolError(`invalid type '${odd}' for -t option\n`, 255);
  if (types === undefined) return [byDefault];
  const isWanted = (type: string): boolean => types.includes(type) || types.includes('all');
  return [
    ...(isWanted('posixgroup') ? (['Group'] as const) : []),
    ...(isWanted('posixuser') ? (['User'] as const) : []),
  ];
}

function requireSortable(call: Getopt): void {
  const odd = ['s', 'S'].flatMap((letter) => call.options.get(letter) ?? []).find((field) => !FIELDS.includes(field));
  if (odd !== undefined) missing(`invalid field '${odd}'`);
}

function opened(host: Host, name: string): ZfsObject {
  const view = viewOf(host);
  const object = objectNamed(view, name) ?? refuse(pathProblem(host, name) ?? openText(name, 'any'));
  return object.dataset.type === 'volume'
    ? refuse('operation is only applicable to filesystems and their snapshots')
    : object;
}

/** Whoever owns a file or has a quota, by number. */
function totalsOf({ dataset }: ZfsObject, kind: Kind, files: readonly Stats[]): Total[] {
  const totals = new Map<number, Total>();
  const totalOf = (id: number): Total => {
    const total = totals.get(id) ?? { kind, id, bytes: 0, objects: 0 };
    totals.set(id, total);
    return total;
  };
  for (const stat of files) {
    const total = totalOf(kind === 'User' ? stat.uid : stat.gid);
    total.bytes += stat.isDirectory() ? BLOCK_BYTES : stat.blocks * BLOCK_BYTES + BLOCK_BYTES;
    total.objects += 1;
  }
  for (const [property, value] of Object.entries(dataset.properties)) {
    const id = propertyHolder(property, kind === 'User' ? 'user' : 'group');
    if (id !== undefined && value !== '0') totalOf(id);
  }
  return [...totals.values()].sort((a, b) => a.id - b.id);
}

function cellsOf(call: Getopt, { dataset }: ZfsObject, total: Total): Readonly<Record<string, string>> {
  const { kind, id } = total;
  const word = kind.toLowerCase();
  const quota = (property: string, human: (value: number) => string): string => {
    const value = dataset.properties[`${word}${property}@${id}`] ?? '0';
    if (has(call, 'p')) return value;
    return value === '0' ? 'none' : human(Number(value));
  };
  return {
    type: `POSIX ${kind}`,
    name: has(call, 'n') || id !== 0 ? String(id) : 'root',
    used: has(call, 'p') ? String(total.bytes) : humanSize(total.bytes),
    quota: quota('quota', humanSize),
    objused: String(total.objects),
    objquota: quota('objquota', String),
  };
}

/** Types and names to the left, numbers to the right. */
function table(fields: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [fields.map((field) => field.toUpperCase()), ...rows];
  const width = (i: number): number => Math.max(...all.map((row) => row[i]?.length ?? 0));
  const cell = (text: string, i: number): string =>
    /^(type|name)$/.test(fields[i] ?? '') ? text.padEnd(width(i)) : text.padStart(width(i));
  return all.map((row) => `${row.map(cell).join('  ')}\n`).join('');
}
