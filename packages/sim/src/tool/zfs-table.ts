/** Objects of ZFS and the values of their properties, as cmd/zfs/zfs_main.c and lib/libzfs zfs_prop_get give them. */
import { existsSync } from 'node:fs';
import type { Host } from '../host/host.ts';
import { encryptionRoot, isKeyLoaded } from '../pool/mounting.ts';
import { humanSize, isUserProperty, storedName } from '../pool/properties.ts';
import { NATIVE, type NativeProperty, propertyName } from '../pool/property-table.ts';
import {
  type DatasetRecord,
  findDataset,
  mountpointOf,
  type PoolState,
  parentOf,
  readPools,
  sorted,
} from '../pool/state.ts';
import { usageOf } from '../pool/usage.ts';
import { computedValue } from './zfs-computed.ts';
import { typeOf, type View, type ZfsObject } from './zfs-object.ts';

export function viewOf(host: Host): View {
  const state = readPools(host);
  return { host, state, usage: usageOf(host, state) };
}

/** All objects in ZFS's order: a dataset, its snapshots and bookmarks, its children. */
export function allObjects(state: PoolState): ZfsObject[] {
  return sorted(state.datasets).flatMap((dataset) => [
    { name: dataset.name, dataset },
    ...dataset.snapshots.map((snapshot) => ({ name: `${dataset.name}@${snapshot.name}`, dataset, snapshot })),
    ...dataset.bookmarks.map((bookmark) => ({ name: `${dataset.name}#${bookmark.name}`, dataset, bookmark })),
  ]);
}

/** A path argument means the file system it lies on. */
export function objectNamed(view: View, argument: string): ZfsObject | undefined {
  if (!argument.startsWith('/')) return allObjects(view.state).find((object) => object.name === argument);
  if (!existsSync(view.host.path(argument))) return undefined;
  const holders = view.state.datasets.filter(({ mountedAt }) => mountedAt !== undefined && isAt(argument, mountedAt));
  const dataset = holders.sort((a, b) => (b.mountedAt?.length ?? 0) - (a.mountedAt?.length ?? 0))[0];
  return dataset === undefined ? undefined : { name: dataset.name, dataset };
}

/** Why a path means no file system (lib/libspl/os/linux/getmntany.c getextmntent); undefined for a name. */
export function pathProblem(host: Host, argument: string): string | undefined {
  if (!argument.startsWith('/')) return undefined;
  return existsSync(host.path(argument))
    ? `'${argument}': not a ZFS filesystem`
    : `cannot open '${argument}': No such file or directory`;
}

function isAt(path: string, mountpoint: string): boolean {
  return path === mountpoint || path.startsWith(mountpoint === '/' ? '/' : `${mountpoint}/`);
}

export interface Value {
  readonly value: string;
  /** `-`, `local`, `default`, `received`, `inherited from X`. */
  readonly source: string;
  /** The object has no such property. */
  readonly isAbsent?: boolean;
}

const ABSENT: Value = { value: '-', source: '-', isAbsent: true };
const LIMITS = new Set(['quota', 'refquota', 'reservation', 'refreservation']);
const RATIOS = new Set(['compressratio', 'refcompressratio']);
/** Chosen when the dataset was made: no source is told. */
const SET_ONCE = new Set(['version', 'utf8only', 'normalization', 'casesensitivity']);

/** A property of an object; numbers and times exact when `exact`. */
export function valueOf(view: View, object: ZfsObject, at: { property: string; exact: boolean }): Value {
  const property = propertyName(at.property);
  const raw = rawValue(view, object, property);
  if (at.exact || raw.isAbsent === true || isUserProperty(property)) return raw;
  return { ...raw, value: humanValue(property, raw.value) };
}

function humanValue(property: string, value: string): string {
  if (RATIOS.has(property)) return `${value}x`;
  if (!/^\d+$/.test(value)) return value;
  if (value === '0' && (LIMITS.has(property) || /quota@/.test(property))) return 'none';
  if (/^(creation|snapshots_changed)$/.test(property)) return dateText(Number(value));
  if (property === 'special_small_blocks' && value === '0') return value;
  return isSize(property) ? humanSize(Number(value)) : value;
}

function isSize(property: string): boolean {
  if (/[@#]/.test(property)) return !property.includes('obj');
  return /<size>|power of 2/.test(NATIVE.get(property)?.values ?? '<size>');
}

/** `%a %b %e %k:%M %Y`. */
export function dateText(seconds: number): string {
  const date = new Date(seconds * 1000);
  const weekday = date.toLocaleDateString('en-US', { weekday: 'short' });
  const month = date.toLocaleDateString('en-US', { month: 'short' });
  const two = (value: number): string => String(value).padStart(2);
  return `${weekday} ${month} ${two(date.getDate())} ${two(date.getHours())}:${String(date.getMinutes()).padStart(2, '0')} ${date.getFullYear()}`;
}

function rawValue(view: View, object: ZfsObject, property: string): Value {
  const computed = computedValue(view, object, property);
  if (computed !== undefined) return computed === null ? ABSENT : { value: computed, source: '-' };
  if (/^written[@#]/.test(property)) return { value: writtenSince(view, object, property), source: 'local' };
  if (/^(user|group|project)(obj)?(used|quota)@/.test(property))
    return { value: object.dataset.properties[storedName(property)] ?? '0', source: 'local' };
  if (isUserProperty(property)) return inheritedValue(view, object, property) ?? ABSENT;
  return nativeValue(view, object, property);
}

function nativeValue(view: View, object: ZfsObject, property: string): Value {
  const rule = NATIVE.get(property);
  if (rule?.kinds.includes(typeOf(object).charAt(0)) !== true) return ABSENT;
  if (property === 'mountpoint') return mountpointValue(view, object);
  if (SET_ONCE.has(property))
    return { value: object.dataset.properties[property] ?? rule.byDefault ?? '-', source: '-' };
  if (property === 'encryption') return encryptionValue(view, object);
  if (/^key|^pbkdf2/.test(property)) return keyValue(view, object, property);
  return settableValue(view, object, rule);
}

function writtenSince(view: View, object: ZfsObject, property: string): string {
  const [, mark = ''] = property.split(/[@#]/);
  const from = [...object.dataset.snapshots, ...object.dataset.bookmarks].find((entry) => entry.name === mark);
  const now = object.snapshot?.referencedBytes ?? view.usage.get(object.dataset.name)?.referenced ?? 0;
  return String(Math.max(0, now - (from?.referencedBytes ?? 0)));
}

function settableValue(view: View, object: ZfsObject, rule: NativeProperty): Value {
  const own = object.snapshot === undefined ? ownValue(object.dataset, rule.name) : undefined;
  const inherited = rule.isInherited ? inheritedValue(view, object, rule.name) : undefined;
  const found = own ?? inherited;
  if (found !== undefined) return found;
  return rule.byDefault === undefined ? ABSENT : { value: rule.byDefault, source: 'default' };
}

function ownValue({ properties, received }: DatasetRecord, property: string): Value | undefined {
  const local = properties[property];
  if (local !== undefined) return { value: local, source: 'local' };
  const sent = received?.[property];
  return sent === undefined ? undefined : { value: sent, source: 'received' };
}

function encryptionValue(view: View, { dataset }: ZfsObject): Value {
  const value = encryptionRoot(view.state, dataset)?.properties['encryption'];
  return value === undefined ? { value: 'off', source: 'default' } : { value, source: '-' };
}

const PASSPHRASE_ROUNDS = '350000';

function keyValue(view: View, { dataset }: ZfsObject, property: string): Value {
  const root = encryptionRoot(view.state, dataset);
  if (root === undefined)
    return property === 'keystatus' ? ABSENT : { value: NATIVE.get(property)?.byDefault ?? '-', source: 'default' };
  if (property === 'keystatus')
    return { value: isKeyLoaded(view.state, dataset) ? 'available' : 'unavailable', source: '-' };
  if (property === 'keylocation' && root !== dataset) return { value: 'none', source: 'default' };
  if (property === 'pbkdf2iters') return { value: PASSPHRASE_ROUNDS, source: '-' };
  return { value: root.properties[property] ?? '-', source: property === 'keylocation' ? 'local' : '-' };
}

function mountpointValue(view: View, { dataset }: ZfsObject): Value {
  const value = mountpointOf(view.state, dataset);
  if (value === undefined) return ABSENT;
  for (let name: string | undefined = dataset.name; name !== undefined; name = parentOf(name)) {
    const found = findDataset(view.state, name);
    const own = name === dataset.name;
    if (found?.properties['mountpoint'] !== undefined)
      return { value, source: own ? 'local' : `inherited from ${name}` };
    if (found?.received?.['mountpoint'] !== undefined)
      return { value, source: own ? 'received' : `inherited from ${name}` };
  }
  return { value, source: 'default' };
}

function inheritedValue(view: View, object: ZfsObject, property: string): Value | undefined {
  const onSnapshot = object.snapshot?.properties[property];
  if (onSnapshot !== undefined) return { value: onSnapshot, source: 'local' };
  if (object.bookmark !== undefined) return undefined;
  for (let name: string | undefined = object.dataset.name; name !== undefined; name = parentOf(name)) {
    const found = findDataset(view.state, name);
    const value = found === undefined ? undefined : ownValue(found, property);
    if (value !== undefined) return name === object.name ? value : { ...value, source: `inherited from ${name}` };
  }
  return undefined;
}
