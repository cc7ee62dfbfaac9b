/** Properties and holds of datasets and snapshots. */
import type { Host } from '../host/host.ts';
import { destroyIfDeferred } from './deferred.ts';
import { attach, mountedBelow, mountsItself, remounting } from './mounting.ts';
import { openText } from './names.ts';
import { type DatasetKind, humanSize, isUserProperty, storedValue } from './properties.ts';
import { NATIVE } from './property-table.ts';
import { type Pairs, refuse } from './refuse.ts';
import {
  changePools,
  type DatasetRecord,
  findDataset,
  findSnapshot,
  type PoolState,
  type SnapshotRecord,
  subtree,
} from './state.ts';
import { usageOf } from './usage.ts';
import { blockSize, volumeReservation } from './volume.ts';

/** All pairs or none; `zfs set` ends with 255. */
export function setProperties(host: Host, name: string, pairs: Pairs): void {
  const failed = (reason: string): never => refuse(`cannot set property for '${name}': ${reason}`, 255);
  changePools(host, (state) => {
    const snapshot = findSnapshot(state, name)?.snapshot;
    const dataset = snapshot === undefined ? findDataset(state, name) : undefined;
    const target = snapshot ?? dataset ?? refuse(openText(name, 'any'));
    if (dataset === undefined && pairs.some(([key]) => !isUserProperty(key)))
      failed('this property can not be modified for snapshots');
    const kind = dataset?.type ?? 'filesystem';
    const values = pairs.map(([key, value]) => [key, checkedValue(key, value, { kind, failed })] as const);
    if (dataset === undefined) {
      for (const [key, value] of values) target.properties[key] = value;
      return;
    }
    requireVolumeSize(dataset, values, failed);
    requireRoom(host, state, { dataset, values, failed });
    change(host, state, { dataset, values });
  });
}

/** Nothing is rounded here, unlike at creation. */
function requireVolumeSize(dataset: DatasetRecord, values: Pairs, failed: (reason: string) => never): void {
  const bytes = Number(values.find(([key]) => key === 'volsize')?.[1] ?? Number.NaN);
  const block = blockSize(dataset);
  if (bytes % block !== 0 && !Number.isNaN(bytes))
    failed(`'volsize' must be a multiple of volume block size (${humanSize(block)})`);
  if (bytes === 0) failed("'volsize' cannot be zero");
}

function change(host: Host, state: PoolState, at: { dataset: DatasetRecord; values: Pairs }): void {
  const { dataset, values } = at;
  const write = (): void => {
    for (const [key, value] of values) writeOne(dataset, key, value);
  };
  if (!values.some(([key]) => key === 'mountpoint' || key === 'canmount')) {
    write();
    return;
  }
  remounting(host, state, { name: dataset.name, work: write });
  if (dataset.mountedAt === undefined && mountsItself(state, dataset)) attach(host, state, dataset);
}

function writeOne(dataset: DatasetRecord, key: string, value: string): void {
  const isThick = Number(dataset.properties['refreservation'] ?? '0') > 0;
  dataset.properties[key] = value;
  if ((key === 'volsize' && isThick) || value === 'auto')
    dataset.properties['refreservation'] = String(volumeReservation(dataset));
}

function checkedValue(
  key: string,
  value: string,
  at: { kind: DatasetKind; failed: (reason: string) => never },
): string {
  try {
    return storedValue(key, value, { kind: at.kind, isNew: false });
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

/** `toReceived`: what a stream brought along counts again (-S). */
export function inheritProperty(
  host: Host,
  property: string,
  at: { name: string; recursive: boolean; toReceived: boolean },
): void {
  if (/^(ref)?(quota|reservation)$/.test(property) && !at.toReceived) {
    refuse(
      `'${property}' property cannot be inherited\nuse 'zfs set ${property}=none' to clear\nuse 'zfs inherit -S ${property}' to revert to received value`,
    );
  }
  const rule = NATIVE.get(property);
  if (rule !== undefined && !rule.isEditable) refuse(`${property} property is read-only`);
  if (at.toReceived && /^(volsize|version)$/.test(property))
    refuse(`'${property}' property cannot be reverted to a received value`);
  if (rule !== undefined && !rule.isInherited && !at.toReceived && property !== 'canmount')
    refuse(`'${property}' property cannot be inherited`);
  changePools(host, (state) => {
    const targets = holdersOf(state, at.name, at.recursive);
    const clear = (): void => {
      for (const target of targets) without(target, property, at.toReceived);
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
  return recursive ? subtree(state, name) : [dataset];
}

export function hold(host: Host, tag: string, at: { name: string; recursive: boolean }): void {
  if (!at.name.includes('@')) refuse(`'${at.name}' is not a snapshot`);
  changePools(host, (state) => {
    const failed = (name: string, reason: string): never => refuse(`cannot hold snapshot '${name}': ${reason}`);
    requireDataset(state, at.name);
    const targets = sameSnapshots(state, at);
    if (targets.length === 0) failed(at.name, 'dataset does not exist');
    const held = targets.filter(({ snapshot }) => snapshot.holds.some((entry) => entry.tag === tag));
    if (held.length > 0)
      refuse(held.map(({ name }) => `cannot hold snapshot '${name}': tag already exists on this dataset`).join('\n'));
    for (const { snapshot } of targets) snapshot.holds.push({ tag, time: Math.floor(Date.now() / 1000) });
  });
}

export function release(host: Host, tag: string, at: { name: string; recursive: boolean }): void {
  if (!at.name.includes('@')) refuse(`'${at.name}' is not a snapshot`);
  changePools(host, (state) => {
    const failed = (name: string, reason: string): never =>
      refuse(`cannot release hold from snapshot '${name}': ${reason}`);
    requireDataset(state, at.name);
    const targets = sameSnapshots(state, at);
    if (targets.length === 0) failed(at.name, 'dataset does not exist');
    const holding = targets.filter(({ snapshot }) => snapshot.holds.some((entry) => entry.tag === tag));
    if (holding.length === 0) failed(at.name, 'no such tag on this dataset');
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

export function loadKey(host: Host, name: string, passphrase: string): void {
  changePools(host, (state) => {
    const dataset = findDataset(state, name) ?? refuse(openText(name, 'dataset'));
    const failed = (reason: string): never => refuse(`Key load error: ${reason}`, 255);
    if (dataset.key === undefined) return failed('Dataset not encrypted.');
    if (dataset.key.isLoaded) failed(`Key already loaded for '${name}'.`);
    if (dataset.key.passphrase !== passphrase) failed(`Incorrect key provided for '${name}'.`);
    dataset.key.isLoaded = true;
  });
}

export function unloadKey(host: Host, name: string): void {
  changePools(host, (state) => {
    const dataset = findDataset(state, name) ?? refuse(openText(name, 'dataset'));
    const failed = (reason: string): never => refuse(`Key unload error: ${reason}`, 255);
    if (dataset.key === undefined) return failed('Dataset not encrypted.');
    if (!dataset.key.isLoaded) failed(`Key already unloaded for '${name}'.`);
    if (mountedBelow(state, name).length > 0) failed(`'${name}' is busy.`);
    dataset.key.isLoaded = false;
  });
}
