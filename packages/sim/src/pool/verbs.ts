/** Making datasets, with the refusals of openzfs/zfs; destroy.ts, snapshot-verbs.ts and rename.ts have the rest. */
import type { Host } from '../host/host.ts';
import { attach, mountsItself } from './mounting.ts';
import { nameProblem } from './names.ts';
import { type DatasetKind, isUserProperty, storedValue, ValueTooLong } from './properties.ts';
import { abortOn, type Pairs, refuse } from './refuse.ts';
import {
  changePools,
  type DatasetRecord,
  findDataset,
  newDataset,
  type PoolState,
  parentOf,
  poolOf,
  readPools,
} from './state.ts';
import { usageOf } from './usage.ts';
import { roundedVolume, volumeReservation } from './volume.ts';

export interface CreateOptions {
  readonly properties: Pairs;
  readonly parents?: boolean;
  /** Makes a volume of that size. */
  readonly volumeBytes?: number;
  /** A volume that reserves nothing (-s). */
  readonly sparse?: boolean;
  readonly unmounted?: boolean;
  /** What an encrypted file system's key is asked from. */
  readonly passphrase?: string;
  /** Asked when all that needs no kernel was looked at: throws what the caller may not do. */
  readonly permit?: () => void;
}

/** What only the kernel looks at (cmd/zfs does not know the answer, and aborts). */
export function requireShort(properties: Pairs, action: string): void {
  for (const [name, value] of properties) {
    try {
      if (isUserProperty(name)) storedValue(name, value, { kind: 'filesystem', isNew: true });
    } catch (err) {
      if (err instanceof ValueTooLong) abortOn(action, 'Argument list too long');
    }
  }
}

/** Given properties in their stored form. */
export function stored(
  properties: Pairs,
  at: { kind: DatasetKind; failed: (reason: string) => never },
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of properties) {
    try {
      result[name] = storedValue(name, value, { kind: at.kind, isNew: true });
    } catch (err) {
      if (err instanceof ValueTooLong) result[name] = value;
      else at.failed((err as Error).message);
    }
  }
  return result;
}

/** What `zfs create` looks at before anything else when it makes a volume, or only tells what it would make. */
export function verifyEarly(
  host: Host,
  name: string,
  at: { properties: Pairs; isVolume: boolean; isDry: boolean },
): void {
  const pool = poolOf(name);
  if (!readPools(host).pools.some((one) => one.name === pool)) refuse(`cannot open '${pool}': no such pool`);
  const failed = (reason: string): never => refuse(`cannot ${at.isDry ? 'verify' : 'create'} '${name}': ${reason}`);
  stored(at.properties, { kind: at.isVolume ? 'volume' : 'filesystem', failed });
}

/** The text of a mount that failed after all the rest was done, or undefined. */
export function createDataset(host: Host, name: string, options: CreateOptions): string | undefined {
  const failed = (reason: string): never => refuse(`cannot create '${name}': ${reason}`);
  const problem = nameProblem(name, 'dataset');
  if (problem !== undefined) failed(problem);
  const kind = options.volumeBytes === undefined ? 'filesystem' : 'volume';
  return changePools(host, (state) => {
    if (options.parents === true && findDataset(state, name) !== undefined) return undefined;
    requireParents(host, state, { name, make: options.parents === true });
    if (findDataset(state, name) !== undefined) failed('dataset already exists');
    const properties = stored(options.properties, { kind, failed });
    if (options.volumeBytes === 0) failed('volume size cannot be zero');
    if (options.volumeBytes !== undefined) sizeVolume(properties, options.volumeBytes, options.sparse === true);
    const key = keyOf(properties, options.passphrase, failed);
    options.permit?.();
    requireShort(options.properties, `cannot create '${name}'`);
    requireSpace(host, state, { name, properties, failed });
    const made = record(host, state, { name, type: kind, properties });
    if (key !== undefined) made.key = key;
    return options.unmounted === true ? undefined : mountNew(host, state, made);
  });
}

function sizeVolume(properties: Record<string, string>, bytes: number, isSparse: boolean): void {
  properties['volsize'] = String(roundedVolume({ properties }, bytes));
  if (!isSparse && properties['refreservation'] === undefined)
    properties['refreservation'] = String(volumeReservation({ properties }));
}

/** The transaction of a new dataset claims more than it writes: every block of metadata several times. */
const NEW_DATASET_BYTES = 131_072;

/** A new dataset needs its first blocks and what it reserves. */
function requireSpace(
  host: Host,
  state: PoolState,
  at: { name: string; properties: Readonly<Record<string, string>>; failed: (reason: string) => never },
): void {
  const { properties } = at;
  const wanted = Math.max(
    NEW_DATASET_BYTES,
    Number(properties['reservation'] ?? '0'),
    Number(properties['refreservation'] ?? '0'),
  );
  if ((usageOf(host, state).get(poolOf(at.name))?.available ?? 0) < wanted) at.failed('out of space');
}

const SHORTEST_PASSPHRASE = 8;

function keyOf(
  properties: Record<string, string>,
  passphrase: string | undefined,
  failed: (reason: string) => never,
): DatasetRecord['key'] {
  const { encryption, keyformat } = properties;
  if (encryption === undefined || encryption === 'off') {
    if (keyformat !== undefined) failed('Encryption parameters cannot be set when encryption is off.');
    return undefined;
  }
  if (keyformat === undefined) failed('Keyformat required for new encryption root.');
  if ((passphrase ?? '').length < SHORTEST_PASSPHRASE) failed(`Passphrase too short (min ${SHORTEST_PASSPHRASE}).`);
  if (encryption === 'on') properties['encryption'] = 'aes-256-gcm';
  properties['keylocation'] ??= 'prompt';
  return { passphrase: passphrase ?? '', isLoaded: true };
}

/**
 * What must be there for a new name, or is made for it: whoever asks for it, the text says `create` (openzfs/zfs
 * lib/libzfs/libzfs_dataset.c check_parents).
 */
export function requireParents(host: Host, state: PoolState, { name, make }: { name: string; make: boolean }): void {
  const failed = (reason: string): never => refuse(`cannot create '${name}': ${reason}`);
  if (!name.includes('/')) failed('missing dataset name');
  if (!state.pools.some((pool) => pool.name === poolOf(name))) failed(`no such pool '${poolOf(name)}'`);
  const missing: string[] = [];
  for (let parent = parentOf(name); parent !== undefined; parent = parentOf(parent)) {
    const found = findDataset(state, parent);
    if (found?.type === 'volume') failed('parent is not a filesystem');
    if (found !== undefined) break;
    if (!make) failed('parent does not exist');
    missing.unshift(parent);
  }
  for (const one of missing) add(host, state, { name: one, type: 'filesystem', properties: {} });
}

interface NewRecord {
  readonly name: string;
  readonly type: DatasetRecord['type'];
  readonly properties: Record<string, string>;
  readonly origin?: string;
}

function record(host: Host, state: PoolState, spec: NewRecord): DatasetRecord {
  const dataset = newDataset(host, state, spec);
  state.datasets.push(dataset);
  return dataset;
}

/** A new record, mounted where it belongs. */
export function add(host: Host, state: PoolState, spec: NewRecord): DatasetRecord {
  const dataset = record(host, state, spec);
  if (mountsItself(state, dataset)) attach(host, state, dataset);
  return dataset;
}

/** The directory is made in the file system above, which may be full. */
function mountNew(host: Host, state: PoolState, dataset: DatasetRecord): string | undefined {
  if (!mountsItself(state, dataset)) return undefined;
  const parent = findDataset(state, parentOf(dataset.name) ?? '');
  const isFull = parent?.mountedAt !== undefined && usageOf(host, state).get(parent.name)?.available === 0;
  if (!isFull) {
    attach(host, state, dataset);
    return undefined;
  }
  const path = `${parent.mountedAt ?? ''}/${dataset.name.slice(parent.name.length + 1)}`;
  return `cannot mount '${path}': failed to create mountpoint: Disk quota exceeded\nfilesystem successfully created, but not mounted\n`;
}
