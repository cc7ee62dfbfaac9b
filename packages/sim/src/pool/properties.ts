/**
 * What a property may be and how a given value is stored. Sizes are stored as bytes, aliases in the form they read back
 * as (`acltype=posixacl` reads `posix`). Source: openzfs/zfs lib/libzfs/libzfs_dataset.c zfs_valid_proplist.
 */
import { isOnlyRead, NATIVE, type NativeProperty } from './property-table.ts';

const MAX_USER_VALUE = 8191;

/** The kernel finds it, not the program: `zfs set` says so, the others take it for an error of their own. */
export class ValueTooLong extends Error {}

const READ_AS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  xattr: { sa: 'on' },
  acltype: { posixacl: 'posix', noacl: 'off' },
};

export function isUserProperty(name: string): boolean {
  return name.includes(':');
}

export function isKnownProperty(name: string): boolean {
  return (
    name === 'name' ||
    NATIVE.has(name) ||
    (isUserProperty(name) && name.length < 256 && /^[a-z0-9:_.\-]+$/.test(name)) ||
    /^written[@#].+/.test(name) ||
    ARGUMENT_PROPERTY.test(name)
  );
}

const ARGUMENT_PROPERTY = /^(user|group|project)(obj)?(used|quota)@(.+)$/;
const NAMED_IDS: Readonly<Record<string, number>> = { root: 0, daemon: 1, backup: 34, nobody: 65_534 };

/** A quota of one user is kept by the user's number; everything else under its name. */
export function storedName(name: string): string {
  const who = ARGUMENT_PROPERTY.exec(name)?.[4];
  return who === undefined ? name : `${name.slice(0, name.length - who.length)}${NAMED_IDS[who] ?? who}`;
}

/** Whose quota of files or objects the stored property is. */
export function propertyHolder(property: string, whose: 'user' | 'group'): number | undefined {
  const [, word, , what, id] = ARGUMENT_PROPERTY.exec(property) ?? [];
  return word === whose && what === 'quota' ? Number(id) : undefined;
}

function storedQuota(name: string, value: string): string {
  const [, , , what, who = ''] = ARGUMENT_PROPERTY.exec(name) ?? [];
  if (NAMED_IDS[who] === undefined && !/^\d+$/.test(who)) throw new Error(`'${name}' has an invalid user/group name`);
  if (what !== 'quota') throw new Error(`'${name}' is readonly`);
  const bytes = value === 'none' ? 0 : sizeBytes(value);
  if (bytes === undefined) throw new Error(sizeProblem(value));
  return String(bytes);
}

export type DatasetKind = 'filesystem' | 'volume';

/** The stored form. Throws Error with the reason as it stands after `cannot create 'X': `. */
export function storedValue(name: string, value: string, at: { kind: DatasetKind; isNew: boolean }): string {
  if (isUserProperty(name)) return storedUserValue(name, value);
  if (name === 'name' || /^written[@#]/.test(name)) throw new Error(`'${name}' is readonly`);
  if (ARGUMENT_PROPERTY.test(name)) return storedQuota(name, value);
  const rule = NATIVE.get(name);
  if (rule === undefined) throw new Error(`invalid property '${name}'`);
  if (!rule.kinds.includes(at.kind === 'volume' ? 'v' : 'f'))
    throw new Error(`'${name}' does not apply to datasets of this type`);
  if (isOnlyRead(rule) || (!rule.isEditable && !at.isNew)) throw new Error(`'${name}' is readonly`);
  return storedByKind(rule, value, at.kind);
}

function storedByKind(rule: NativeProperty, value: string, kind: DatasetKind): string {
  if (rule.name === 'mountpoint') return storedMountpoint(value);
  if (rule.name === 'mlslabel') throw new Error('mlslabels are unsupported');
  if (rule.name === 'keylocation' && !/^(prompt|none|file:\/\/\/.+|https?:\/\/.+)$/.test(value))
    throw new Error('invalid keylocation');
  if (/<size>/.test(rule.values)) return storedSize(rule.name, value, kind);
  if (/power of 2/.test(rule.values)) return storedBlockSize(rule.name, value);
  if (/<count>|<iters>/.test(rule.values)) return storedCount(rule.name, value);
  return rule.values.includes('<') || /share options/.test(rule.values) ? value : storedWord(rule, value);
}

function storedUserValue(name: string, value: string): string {
  if (name.length > 255) throw new Error(`property name '${name}' is too long`);
  if (!isKnownProperty(name)) throw new Error(`invalid property '${name}'`);
  if (Buffer.byteLength(value) > MAX_USER_VALUE) throw new ValueTooLong('property value too long');
  return value;
}

function storedMountpoint(value: string): string {
  if (!/^\/|^(none|legacy)$/.test(value)) throw new Error("'mountpoint' must be an absolute path, 'none', or 'legacy'");
  return value;
}

function storedSize(name: string, value: string, kind: DatasetKind): string {
  if (value === 'auto' && name === 'refreservation') {
    if (kind === 'volume') return 'auto';
    throw new Error("'refreservation=auto' only allowed on volumes");
  }
  const bytes = storedNumber(name, value);
  if (bytes === 0 && value !== 'none' && /quota$/.test(name)) throw new Error("use 'none' to disable quota/refquota");
  return String(bytes);
}

/** `none` is 0. */
function storedNumber(name: string, value: string): number {
  if (value === 'none') return 0;
  if (value === 'auto') throw new Error(`'auto' is invalid value for '${name}'`);
  const bytes = sizeBytes(value);
  if (bytes === undefined) throw new Error(sizeProblem(value));
  return bytes;
}

const MAX_BLOCK = 16 * 1024 ** 2;

function storedBlockSize(name: string, value: string): string {
  const bytes = storedNumber(name, value);
  const isPower = bytes >= 512 && bytes <= MAX_BLOCK && Number.isInteger(Math.log2(bytes));
  if (name === 'special_small_blocks') {
    if (!isPower && bytes !== 0)
      throw new Error(`invalid '${name}=${bytes}' property: must be zero or a power of 2 from 512B to 16M`);
  } else if (!isPower) throw new Error(`'${name}' must be power of 2 from 512B to 16M`);
  return String(bytes);
}

function storedCount(name: string, value: string): string {
  return value === 'none' && name.endsWith('_limit') ? value : String(storedNumber(name, value));
}

function storedWord(rule: NativeProperty, value: string): string {
  const readAs = READ_AS[rule.name]?.[value];
  if (readAs !== undefined) return readAs;
  const words = rule.values.split(' | ');
  if (!words.some((word) => matches(word, value))) throw new Error(`'${rule.name}' must be one of '${rule.values}'`);
  return value;
}

/** `gzip-[1-9]` stands for its nine words, `sha256[,verify]` for two. */
function matches(word: string, value: string): boolean {
  const withOption = /^(.*)\[(,\w+)\]$/.exec(word);
  if (withOption?.[1] !== undefined)
    return value === withOption[1] || value === `${withOption[1]}${withOption[2] ?? ''}`;
  const range = /^(.*)\[(\d+)-(\d+)/.exec(word);
  if (range?.[1] === undefined) return word === value;
  const level = value.startsWith(range[1]) ? Number(value.slice(range[1].length)) : Number.NaN;
  return level >= Number(range[2]) && (level <= Number(range[3]) || word.includes(`,${level}`));
}

const UNITS = 'BKMGTPE';
const LARGEST = 2 ** 64;

/** `20m`, `1.5G`, `51200k`, `.5GiB`, `1048576`; what fits into 64 bits. */
export function sizeBytes(text: string): number | undefined {
  const parts = /^(\d+\.?\d*|\.\d*)(?:b|([kmgtpe])(?:i?b)?)?$/i.exec(text);
  if (parts?.[1] === undefined) return undefined;
  const bytes = Math.floor(
    Number(`0${parts[1]}`) * 1024 ** Math.max(0, UNITS.indexOf((parts[2] ?? 'B').toUpperCase())),
  );
  return bytes < LARGEST ? bytes : undefined;
}

/** Why the text is no size (openzfs/zfs lib/libzfs/libzfs_util.c zfs_nicestrtonum, str2shift). */
export function sizeProblem(text: string): string {
  if (!/^[\d.]/.test(text)) return `bad numeric value '${text}'`;
  const suffix = text.replace(/^\d*(?:\.\d*)?/, '');
  return /^(?:b|[kmgtpez](?:i?b)?)?$/i.test(suffix)
    ? 'numeric value is too large'
    : `invalid numeric suffix '${suffix}'`;
}

/** Five characters at most, as `zfs list` prints without -p. */
export function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0 || Number.isInteger(value)) return `${value}${unit === 0 ? 'B' : UNITS.charAt(unit)}`;
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)}${UNITS.charAt(unit)}`;
}
