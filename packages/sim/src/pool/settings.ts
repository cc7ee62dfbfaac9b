/** Properties and holds of datasets and snapshots. */
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { destroyIfDeferred } from './deferred.ts';
import { attach, mountsItself, remounting } from './mounting.ts';
import { openText } from './names.ts';
import { type DatasetKind, humanSize, isUserProperty, storedName, storedValue } from './properties.ts';
import { NATIVE, propertyName } from './property-table.ts';
import { type Pairs, refuse } from './refuse.ts';
import {
  changePools,
  type DatasetRecord,
  findDataset,
  findSnapshot,
  type PoolState,
  parentOf,
  type SnapshotRecord,
  subtree,
} from './state.ts';
import { usageOf } from './usage.ts';
import { blockSize, volumeReservation } from './volume.ts';

export interface SetOptions {
  /** -u: what is mounted stays where it is, and nothing is mounted. */
  readonly keepsMounts?: boolean;
  /** Asked when all that needs no kernel was looked at: throws what the caller may not do. */
  readonly permit?: () => void;
}

export interface SetSpec {
  readonly pairs: Pairs;
  readonly options: SetOptions;
}

/** All pairs or none; `zfs set` ends with 255. */
export function setProperties(host: Host, name: string, given: Pairs | SetSpec): void {
  const { pairs, options } = 'pairs' in given ? given : { pairs: given, options: {} };
  const failed = (reason: string): never => refuse(`cannot set property for '${name}': ${reason}`, 255);
  changePools(host, (state) => {
    const snapshot = findSnapshot(state, name)?.snapshot;
    if (snapshot !== undefined) {
      setOnSnapshot(snapshot, { pairs, options, failed });
      return;
    }
    const dataset = findDataset(state, name) ?? refuse(openText(name, 'any'));
    const values = pairs.map(([key, value]) => checkedPair(key, value, { kind: dataset.type, failed }));
    requirePossible(dataset, values, failed);
    options.permit?.();
    requireRoom(host, state, { dataset, values: withReservation(dataset, values), failed });
    change(host, state, { dataset, values, options });
  });
}

function setOnSnapshot(snapshot: SnapshotRecord, at: SetSpec & { failed: (reason: string) => never }): void {
  const { pairs, options, failed } = at;
  if (pairs.some(([key]) => !isUserProperty(key))) failed('this property can not be modified for snapshots');
  const values = pairs.map(([key, value]) => checkedPair(key, value, { kind: 'filesystem', failed }));
  options.permit?.();
  for (const [key, value] of values) snapshot.properties[key] = value;
}

/** Against what the dataset is (lib/libzfs/libzfs_dataset.c zfs_valid_proplist). */
function requirePossible(dataset: DatasetRecord, values: Pairs, failed: (reason: string) => never): void {
  requireVolumeSize(dataset, values, failed);
  const given = new Map(values);
  const [version, keylocation] = [given.get('version'), given.get('keylocation')];
  const now = dataset.properties['version'] ?? NATIVE.get('version')?.byDefault ?? '';
  if (version !== undefined && Number(version) < Number(now)) failed(`Can not downgrade; already at version ${now}`);
  if (keylocation !== undefined && keylocation !== 'none' && dataset.key === undefined)
    failed("keylocation must be 'none' for unencrypted datasets");
  if (keylocation === 'none' && dataset.key !== undefined)
    failed("keylocation must not be 'none' for encrypted datasets");
}

/** A volume that reserves its size reserves its new size too. */
function withReservation(dataset: DatasetRecord, values: Pairs): Pairs {
  const volsize = values.find(([key]) => key === 'volsize')?.[1];
  if (volsize === undefined || !isThick(dataset)) return values;
  const grown = { properties: { ...dataset.properties, volsize } };
  return [...values, ['refreservation', String(volumeReservation(grown))]];
}

function isThick({ properties }: DatasetRecord): boolean {
  return Number(properties['refreservation'] ?? '0') > 0;
}

/** Nothing is rounded here, unlike at creation. */
function requireVolumeSize(dataset: DatasetRecord, values: Pairs, failed: (reason: string) => never): void {
  const bytes = Number(values.find(([key]) => key === 'volsize')?.[1] ?? Number.NaN);
  const block = blockSize(dataset);
  if (bytes % block !== 0 && !Number.isNaN(bytes))
    failed(`'volsize' must be a multiple of volume block size (${humanSize(block)})`);
  if (bytes === 0) failed("'volsize' cannot be zero");
}

/**
 * A new mountpoint moves what is mounted, and mounts what inherits it; `canmount` only ever unmounts
 * (lib/libzfs/libzfs_dataset.c zfs_prop_set_list_flags, lib/libzfs/libzfs_changelist.c changelist_postfix).
 */
function change(
  host: Host,
  state: PoolState,
  at: { dataset: DatasetRecord; values: Pairs; options: SetOptions },
): void {
  const { dataset, values } = at;
  const write = (): void => {
    for (const [key, value] of values) writeOne(dataset, key, value);
  };
  const isMoved = values.some(([key]) => key === 'mountpoint');
  const isUnmounted = values.some(([key, value]) => key === 'canmount' && value === 'off');
  if (at.options.keepsMounts === true || !(isMoved || isUnmounted)) {
    write();
    return;
  }
  try {
    remounting(host, state, { name: dataset.name, work: write });
  } catch (err) {
    throw err instanceof ToolError ? new ToolError(err.message, 255) : err;
  }
  if (isMoved) mountInheriting(host, state, dataset);
}

function mountInheriting(host: Host, state: PoolState, dataset: DatasetRecord): void {
  if (dataset.mountedAt === undefined && mountsItself(state, dataset)) attach(host, state, dataset);
  for (const child of state.datasets.filter(({ name }) => parentOf(name) === dataset.name))
    if (child.properties['mountpoint'] === undefined) mountInheriting(host, state, child);
}

function writeOne(dataset: DatasetRecord, key: string, value: string): void {
  const wasThick = isThick(dataset);
  dataset.properties[key] = value;
  if ((key === 'volsize' && wasThick) || value === 'auto')
    dataset.properties['refreservation'] = String(volumeReservation(dataset));
}

function checkedPair(
  key: string,
  value: string,
  at: { kind: DatasetKind; failed: (reason: string) => never },
): readonly [string, string] {
  try {
    return [storedName(key), storedValue(key, value, { kind: at.kind, isNew: false })];
  } catch (err) {
    return at.failed((err as Error).message);
  }
}

function requireRoom(
  host: Host,
  state: PoolState,
  at: { dataset: DatasetRecord; values: Pairs; failed: (reason: string) => never },
): void {
  const usage = usageOf(host, state).get(at.dataset.name);
  if (usage === undefined) return;
  for (const [key, value] of at.values) {
    if (key.endsWith('reservation') && Number(value) > usage.available + usage.used)
      at.failed('size is greater than available space');
    const held = key === 'refquota' ? usage.referenced : key === 'quota' ? usage.used : 0;
    if (value !== '0' && Number(value) < held) at.failed('size is less than current used or reserved space');
  }
}

/** Before anything is opened; `word` is the property as it was given (cmd/zfs/zfs_main.c zfs_do_inherit). */
export function requireInheritable(word: string, toReceived: boolean): void {
  const property = propertyName(word);
  const rule = NATIVE.get(property);
  if (rule === undefined) return;
  if (!rule.isEditable) refuse(`${word} property is read-only`);
  if (!rule.isInherited && !toReceived) {
    const hint = /^(ref)?(quota|reservation)$/.test(property)
      ? `\nuse 'zfs set ${word}=none' to clear\nuse 'zfs inherit -S ${word}' to revert to received value`
      : '';
    refuse(`'${word}' property cannot be inherited${hint}`);
  }
  if (toReceived && /^(volsize|version)$/.test(property))
    refuse(`'${word}' property cannot be reverted to a received value`);
}

/** `toReceived`: what a stream brought along counts again (-S). */
export function inheritProperty(
  host: Host,
  word: string,
  at: { name: string; recursive: boolean; toReceived: boolean; permit?: () => void },
): void {
  const property = propertyName(word);
  const rule = NATIVE.get(property);
  const applies = (kind: string): boolean => rule === undefined || rule.kinds.includes(kind.charAt(0));
  changePools(host, (state) => {
    const targets = holdersOf(state, at.name, at.recursive);
    const fitting = targets.filter((target) => applies(isDataset(target) ? target.type : 'snapshot'));
    if (fitting.length === 0 && !at.recursive)
      refuse(`cannot inherit ${word} for '${at.name}': property doesn't apply to datasets of this type`);
    at.permit?.();
    const clear = (): void => {
      for (const target of fitting) without(target, property, at.toReceived);
    };
    if (property === 'mountpoint') remounting(host, state, { name: at.name, work: clear });
    else clear();
  });
}

function without(target: DatasetRecord | SnapshotRecord, property: string, keepReceived: boolean): void {
  const drop = (values: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).filter(([name]) => name !== property));
  target.properties = drop(target.properties);
  if (!keepReceived && isDataset(target) && target.received !== undefined) target.received = drop(target.received);
}

function isDataset(target: DatasetRecord | SnapshotRecord): target is DatasetRecord {
  return Object.hasOwn(target, 'snapshots');
}

function holdersOf(state: PoolState, name: string, recursive: boolean): (DatasetRecord | SnapshotRecord)[] {
  const snapshot = findSnapshot(state, name)?.snapshot;
  if (snapshot !== undefined) return [snapshot];
  const dataset = findDataset(state, name) ?? refuse(openText(name, 'dataset'));
  return recursive ? subtree(state, name).flatMap((one) => [one, ...one.snapshots]) : [dataset];
}

export interface HoldAt {
  readonly name: string;
  readonly recursive: boolean;
  readonly permit?: () => void;
}

const LONGEST_TAG = 256;

export function hold(host: Host, tag: string, at: HoldAt): void {
  if (!at.name.includes('@')) refuse(`'${at.name}' is not a snapshot`);
  changePools(host, (state) => {
    const failed = (name: string, reason: string): never => refuse(`cannot hold snapshot '${name}': ${reason}`);
    requireDataset(state, at.name);
    const targets = sameSnapshots(state, at);
    if (targets.length === 0) failed(at.name, 'dataset does not exist');
    at.permit?.();
    if (tag.length > LONGEST_TAG) failed(at.name, 'tag too long');
    const held = targets.filter(({ snapshot }) => snapshot.holds.some((entry) => entry.tag === tag));
    if (held.length > 0)
      refuse(held.map(({ name }) => `cannot hold snapshot '${name}': tag already exists on this dataset`).join('\n'));
    for (const { snapshot } of targets) snapshot.holds.push({ tag, time: Math.floor(Date.now() / 1000) });
  });
}

export function release(host: Host, tag: string, at: HoldAt): void {
  if (!at.name.includes('@')) refuse(`'${at.name}' is not a snapshot`);
  changePools(host, (state) => {
    const failed = (name: string, reason: string): never =>
      refuse(`cannot release hold from snapshot '${name}': ${reason}`);
    requireDataset(state, at.name);
    const targets = sameSnapshots(state, at);
    if (targets.length === 0) failed(at.name, 'dataset does not exist');
    const holding = targets.filter(({ snapshot }) => snapshot.holds.some((entry) => entry.tag === tag));
    if (holding.length === 0) failed(at.name, 'no such tag on this dataset');
    at.permit?.();
    for (const { name, snapshot } of holding) {
      snapshot.holds = snapshot.holds.filter((entry) => entry.tag !== tag);
      destroyIfDeferred(host, state, name);
    }
  });
}

function requireDataset(state: PoolState, snapshot: string): void {
  const [of = ''] = snapshot.split('@');
  if (findDataset(state, of) === undefined) refuse(openText(of, 'dataset'));
}

/** The snapshot, and with -r the one of that name of every dataset below. */
export function sameSnapshots(
  state: PoolState,
  at: { name: string; recursive: boolean },
): { name: string; snapshot: SnapshotRecord }[] {
  const [of = '', tag = ''] = at.name.split('@');
  const names = at.recursive ? subtree(state, of).map((dataset) => dataset.name) : [of];
  return names.flatMap((dataset) => {
    const found = findSnapshot(state, `${dataset}@${tag}`);
    return found === undefined ? [] : [{ name: `${dataset}@${tag}`, snapshot: found.snapshot }];
  });
}
