/** The data files, read once each and only when something asks. They lie beside the source or beside the bundle. */
import { readFileSync } from 'node:fs';
import type { Properties, Property } from './property.ts';

export interface CommandSchema {
  /** Method behind it, for messages and tests. */
  readonly name?: string;
  /** API class the method belongs to; the overview groups by it. */
  readonly class?: string;
  readonly positional?: readonly string[];
  /** Parameters the tool fills in itself; an empty text stands for the local node's name. */
  readonly fixed?: Readonly<Record<string, string>>;
  readonly params?: Properties;
  /** It takes the options of printed answers too. */
  readonly isFormatted?: number;
  readonly alias?: string;
  readonly sub?: Readonly<Record<string, CommandSchema>>;
}

export type ToolSchema = Readonly<Record<string, CommandSchema>>;

const FOLDERS = ['../../data/', './pxmgr-sim-data/', '../packages/sim/data/'] as const;
/** How many of each numbered option exist (pve-container src/PVE/LXC/Config.pm, qemu-server src/PVE/QemuServer/Drive.pm). */
const NUMBERED: Readonly<Record<string, number>> = {
  net: 32,
  mp: 256,
  dev: 256,
  unused: 256,
  scsi: 31,
  sata: 6,
  ide: 4,
  virtio: 16,
  hostpci: 16,
  usb: 14,
  serial: 4,
  parallel: 3,
  numa: 8,
  ipconfig: 32,
  virtiofs: 10,
};
const cache = new Map<string, unknown>();

function load(name: string): unknown {
  const known = cache.get(name);
  if (known !== undefined) return known;
  for (const folder of FOLDERS) {
    try {
      const value: unknown = JSON.parse(readFileSync(new URL(`${folder}${name}.json`, import.meta.url), 'utf8'));
      cache.set(name, value);
      return value;
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err;
    }
  }
  throw new Error(`the data file ${name}.json of the stand-in host is missing`);
}

export function toolSchema(tool: string): ToolSchema {
  return (load(tool) as { commands: ToolSchema }).commands;
}

/** What a section of storage.cfg may hold, by its type (options and content of each plugin in pve-storage src/PVE/Storage). */
export interface StorageType {
  readonly required: readonly string[];
  /** Given once for all. */
  readonly fixed: readonly string[];
  readonly optional: readonly string[];
  readonly content: readonly string[];
}

export function storageTypes(): Readonly<Record<string, StorageType>> {
  return (load('storage-types') as { types: Record<string, StorageType> }).types;
}

export function requiredOptions(type: string): readonly string[] {
  return storageTypes()[type]?.required ?? [];
}

/** Path of the API -> its HTTP verbs. */
export function apiPaths(): Readonly<Record<string, string>> {
  return (load('api') as { paths: Record<string, string> }).paths;
}

/** One field of an answer, as far as its printed form depends on it. */
export interface AnswerField {
  readonly type?: string;
  readonly optional?: number;
  readonly title?: string;
  readonly renderer?: string;
}

export interface AnswerShape {
  readonly type: string;
  /** A list of plain values. */
  readonly isPlain?: number;
  /** Of an object, or of every row of a list; none where upstream leaves them open. */
  readonly fields?: Readonly<Record<string, AnswerField>>;
  /** The field that names the paths below. */
  readonly child?: string;
}

export interface ReadMethod {
  readonly params: Properties;
  readonly returns?: AnswerShape;
}

/** Path of the API -> its reading method, for the paths that somebody may ask. */
export function readMethods(): Readonly<Record<string, ReadMethod>> {
  return (load('reads') as { methods: Record<string, ReadMethod> }).methods;
}

export function propertyFormat(name: string): Properties {
  const format = (load('formats') as Readonly<Record<string, Properties>>)[name];
  if (format === undefined) throw new Error(`unknown format: ${name}`);
  return format;
}

/** The property behind an option name, numbered ones included. */
export function propertyOf(params: Properties, key: string): Property | undefined {
  if (Object.hasOwn(params, key) && !key.endsWith('[n]')) return params[key];
  const parts = /^([a-z]+)(0|[1-9]\d*)$/.exec(key);
  const stem = parts?.[1] ?? '';
  return Number(parts?.[2]) < (NUMBERED[stem] ?? 0) ? params[`${stem}[n]`] : undefined;
}

/** All option names, numbered ones written out. */
export function optionNames(params: Properties): string[] {
  return Object.keys(params).flatMap((key) => {
    if (!key.endsWith('[n]')) return [key];
    const stem = key.slice(0, -3);
    return Array.from({ length: NUMBERED[stem] ?? 0 }, (_, n) => `${stem}${n}`);
  });
}
