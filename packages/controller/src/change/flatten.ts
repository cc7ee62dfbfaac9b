import type { InventoryDocument } from '@pxmgr/contract/common';

/** Field path -> text. Lists of things with a key of their own are named by it, so that a reordering is no change. */
export type FlatDocument = ReadonlyMap<string, string>;

const KEY_FIELDS = ['key', 'source', 'id', 'name'] as const;

/** One document as paths like container.config.memory. Empty and absent values have no path. */
export function flattenDocument(document: InventoryDocument | undefined): FlatDocument {
  const flat = new Map<string, string>();
  const inner = document?.document;
  if (inner !== undefined) addValue(flat, inner.$case, inner.value);
  return flat;
}

function addValue(flat: Map<string, string>, path: string, value: unknown): void {
  if (value === undefined || value === null || value === '') return;
  if (value instanceof Date) flat.set(path, value.toISOString());
  else if (Array.isArray(value)) addList(flat, path, value);
  else if (typeof value === 'object') addFields(flat, path, value);
  else flat.set(path, textOf(value));
}

function addFields(flat: Map<string, string>, path: string, value: object): void {
  const isMap = MAPS.test(path);
  for (const [name, field] of Object.entries(value)) addValue(flat, `${path}.${isMap ? name : protoName(name)}`, field);
}

function addList(flat: Map<string, string>, path: string, list: readonly unknown[]): void {
  if (list.length === 0) return;
  if (list.every((item) => typeof item !== 'object')) {
    flat.set(path, list.map(textOf).join(', '));
    return;
  }
  for (const [index, item] of list.entries()) addValue(flat, `${path}.${keyOf(item) ?? String(index)}`, item);
}

function keyOf(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  for (const field of KEY_FIELDS) {
    const value: unknown = (item as Record<string, unknown>)[field];
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

/** The keys of maps stay as they are. */
const MAPS = /\.(?:config|tools|fields)$/;

/** Field names are few and asked for all the time. */
const protoNames = new Map<string, string>();

function protoName(name: string): string {
  const known = protoNames.get(name);
  if (known !== undefined) return known;
  const made = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  protoNames.set(name, made);
  return made;
}

function textOf(value: unknown): string {
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint'
      ? value.toString()
      : JSON.stringify(value);
}
