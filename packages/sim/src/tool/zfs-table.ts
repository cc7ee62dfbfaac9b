/** The rows of `zfs list` and `zfs get`: which objects, which properties, in which form. Columns as cmd/zfs/zfs_main.c prints them. */
import type { Host } from '../host.ts';
import { humanSize, isKnownProperty, isUserProperty, NATIVE, propertyName } from '../pool/properties.ts';
import {
  clonesOf,
  type DatasetRecord,
  mountpointOf,
  type PoolState,
  parentOf,
  readPools,
  type SnapshotRecord,
  sorted,
} from '../pool/state.ts';
import { type Usage, usageOf } from '../pool/usage.ts';

export interface ZfsObject {
  readonly name: string;
  readonly dataset: DatasetRecord;
  readonly snapshot?: SnapshotRecord;
}

/** State and usage read once, for all rows of one call. */
export interface View {
  readonly state: PoolState;
  readonly usage: ReadonlyMap<string, Usage>;
}

export function viewOf(host: Host): View {
  const state = readPools(host);
  return { state, usage: usageOf(host, state) };
}

/** All objects in ZFS's order: a dataset, its snapshots, its children. */
export function allObjects(state: PoolState): ZfsObject[] {
  return sorted(state.datasets).flatMap((dataset) => [
    { name: dataset.name, dataset },
    ...dataset.snapshots.map((snapshot) => ({ name: `${dataset.name}@${snapshot.name}`, dataset, snapshot })),
  ]);
}

export function typeOf(object: ZfsObject): 'filesystem' | 'volume' | 'snapshot' {
  return object.snapshot === undefined ? object.dataset.type : 'snapshot';
}

/** A path argument means the file system it lies on. */
export function objectNamed(view: View, argument: string): ZfsObject | undefined {
  if (!argument.startsWith('/')) return allObjects(view.state).find((object) => object.name === argument);
  const holders = view.state.datasets.filter((dataset) => {
    const path = mountpointOf(view.state, dataset);
    return (
      path?.startsWith('/') === true && (argument === path || argument.startsWith(path === '/' ? '/' : `${path}/`))
    );
  });
  const dataset = holders.sort(
    (a, b) => (mountpointOf(view.state, b)?.length ?? 0) - (mountpointOf(view.state, a)?.length ?? 0),
  )[0];
  return dataset === undefined ? undefined : { name: dataset.name, dataset };
}

export interface Value {
  readonly value: string;
  /** `-`, `local`, `default`, `inherited from X`. */
  readonly source: string;
}

const NONE: Value = { value: '-', source: '-' };
const SIZES = new Set([
  'used',
  'available',
  'referenced',
  'written',
  'quota',
  'refquota',
  'reservation',
  'refreservation',
  'volsize',
  'volblocksize',
  'recordsize',
  'usedbysnapshots',
  'usedbydataset',
  'usedbychildren',
  'usedbyrefreservation',
  'logicalused',
  'logicalreferenced',
]);
const LIMITS = new Set(['quota', 'refquota', 'reservation', 'refreservation']);

/** A property of an object; numbers exact when `exact`. */
export function valueOf(view: View, object: ZfsObject, at: { property: string; exact: boolean }): Value {
  const raw = rawValue(view, object, propertyName(at.property));
  if (at.exact || !SIZES.has(propertyName(at.property)) || !/^\d+$/.test(raw.value)) return raw;
  if (raw.value === '0' && LIMITS.has(propertyName(at.property))) return { ...raw, value: 'none' };
  return { ...raw, value: humanSize(Number(raw.value)) };
}

function rawValue(view: View, object: ZfsObject, property: string): Value {
  const computed =
    object.snapshot === undefined
      ? datasetValue(view, object.dataset, property)
      : snapshotValue(view, object, property);
  if (computed !== undefined) return { value: computed, source: '-' };
  if (property === 'mountpoint') return mountpointValue(view, object);
  if (isUserProperty(property)) return inheritedValue(view, object, property) ?? NONE;
  return hasProperty(object, property) ? settableValue(view, object, property) : NONE;
}

const ONLY_VOLUMES = new Set(['volsize', 'volblocksize']);
const ONLY_FILE_SYSTEMS = new Set(['quota', 'refquota', 'recordsize']);

function hasProperty({ dataset, snapshot }: ZfsObject, property: string): boolean {
  if (snapshot !== undefined) return false;
  return !(dataset.type === 'volume' ? ONLY_FILE_SYSTEMS : ONLY_VOLUMES).has(property);
}

function settableValue(view: View, object: ZfsObject, property: string): Value {
  const own = object.dataset.properties[property];
  if (own !== undefined) return { value: own, source: 'local' };
  const rule = NATIVE[property];
  const inherited = rule?.inherits === true ? inheritedValue(view, object, property) : undefined;
  if (inherited !== undefined) return inherited;
  return rule?.byDefault === undefined ? NONE : { value: rule.byDefault, source: 'default' };
}

/** What no dataset keeps: the same for all. */
const CONSTANTS: Readonly<Record<string, string>> = {
  usedbysnapshots: '0',
  usedbyrefreservation: '0',
  compressratio: '1.00',
  refcompressratio: '1.00',
  userrefs: '-',
  clones: '-',
  defer_destroy: '-',
};
const NO_USAGE: Usage = { used: 0, available: 0, referenced: 0, byDataset: 0, byChildren: 0 };

function datasetValue(view: View, dataset: DatasetRecord, property: string): string | undefined {
  const usage = view.usage.get(dataset.name) ?? NO_USAGE;
  const values: Readonly<Record<string, string | number | undefined>> = {
    ...CONSTANTS,
    name: dataset.name,
    type: dataset.type,
    guid: dataset.guid,
    createtxg: dataset.createtxg,
    creation: dataset.creation,
    origin: dataset.origin ?? '-',
    mounted: mountedWord(dataset),
    used: usage.used,
    available: usage.available,
    referenced: usage.referenced,
    written: usage.referenced,
    logicalused: usage.used,
    logicalreferenced: usage.referenced,
    usedbydataset: usage.byDataset,
    usedbychildren: usage.byChildren,
  };
  const value = values[property];
  return value === undefined ? undefined : String(value);
}

function mountedWord(dataset: DatasetRecord): string {
  if (dataset.type === 'volume') return '-';
  return dataset.isMounted ? 'yes' : 'no';
}

function snapshotValue(view: View, object: ZfsObject, property: string): string | undefined {
  const snapshot = object.snapshot;
  if (snapshot === undefined) return undefined;
  const values: Readonly<Record<string, string | undefined>> = {
    name: object.name,
    type: 'snapshot',
    guid: snapshot.guid,
    createtxg: String(snapshot.createtxg),
    creation: String(snapshot.creation),
    used: '0',
    referenced: String(snapshot.referencedBytes),
    userrefs: String(snapshot.holds.length),
    clones: clonesOf(view.state, object.name).join(',') || '-',
    compressratio: '1.00',
    defer_destroy: 'off',
  };
  return values[property];
}

function mountpointValue(view: View, { dataset, snapshot }: ZfsObject): Value {
  const value = snapshot === undefined ? mountpointOf(view.state, dataset) : undefined;
  if (value === undefined) return NONE;
  if (dataset.properties['mountpoint'] !== undefined) return { value, source: 'local' };
  for (let name = parentOf(dataset.name); name !== undefined; name = parentOf(name)) {
    if (view.state.datasets.find((entry) => entry.name === name)?.properties['mountpoint'] !== undefined)
      return { value, source: `inherited from ${name}` };
  }
  return { value, source: 'default' };
}

function inheritedValue(view: View, object: ZfsObject, property: string): Value | undefined {
  const onSnapshot = object.snapshot?.properties[property];
  if (onSnapshot !== undefined) return { value: onSnapshot, source: 'local' };
  for (let name: string | undefined = object.dataset.name; name !== undefined; name = parentOf(name)) {
    const value = view.state.datasets.find((entry) => entry.name === name)?.properties[property];
    if (value === undefined) continue;
    return { value, source: name === object.name ? 'local' : `inherited from ${name}` };
  }
  return undefined;
}

/** The first unknown property of a list, or undefined. */
export function unknownProperty(list: readonly string[]): string | undefined {
  return list.find((property) => !isKnownProperty(propertyName(property)));
}
