/** Receiving streams: what is refused with which words, and what the target looks like afterwards. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { destroyDataset } from './destroy.ts';
import { copyTree } from './files.ts';
import { attach, mountsItself } from './mounting.ts';
import { nameProblem } from './names.ts';
import { type DatasetKind, storedValue } from './properties.ts';
import { type Pairs, refuse } from './refuse.ts';
import { tokenOf } from './send.ts';
import { isChangedSince } from './snapshot-space.ts';
import { rollback } from './snapshot-verbs.ts';
import {
  arrivingDirectory,
  changePools,
  type DatasetRecord,
  findDataset,
  newDataset,
  type PoolState,
  parentOf,
  poolOf,
  readPools,
  type SnapshotRecord,
  snapshotDirectory,
} from './state.ts';
import { BadStream, type StreamHead, StreamReader } from './stream.ts';
import { usageOf } from './usage.ts';

export interface ReceiveOptions {
  readonly force: boolean;
  readonly unmounted: boolean;
  readonly dryRun: boolean;
  /** -s: what arrived of a cut stream is kept. */
  readonly resumable: boolean;
  readonly properties: Pairs;
  readonly excluded: readonly string[];
  /** Of the sent name: -d drops the pool, -e all but the last word. */
  readonly append?: 'd' | 'e';
  readonly log: (text: string) => void;
}

export async function receive(
  host: Host,
  target: string,
  at: { stdin: AsyncIterable<Uint8Array>; options: ReceiveOptions },
): Promise<void> {
  const reader = new StreamReader(at.stdin);
  try {
    await reader.begin();
    let root: string | undefined;
    for (let head = await reader.head(); head !== undefined; head = await reader.head()) {
      root ??= head.name.split('@')[0] ?? '';
      await receivePart(host, {
        reader,
        head,
        target: targetOf(head, { target, root, append: at.options.append }),
        options: at.options,
      });
    }
  } catch (err) {
    if (!(err instanceof BadStream)) throw err;
    refuse(`cannot receive: ${err.message}`);
  }
}

/** The full name the part gets here. */
function targetOf(head: StreamHead, at: { target: string; root: string; append: 'd' | 'e' | undefined }): string {
  const [sent = '', tag = ''] = head.name.split('@');
  const [given = '', asked] = at.target.split('@');
  const below = sent.slice(at.root.length);
  const middle =
    at.append === 'd'
      ? `/${at.root.split('/').slice(1).join('/')}`
      : at.append === 'e'
        ? `/${at.root.split('/').at(-1) ?? ''}`
        : '';
  return `${given}${middle === '/' ? '' : middle}${below}@${asked ?? tag}`;
}

interface Part {
  readonly reader: StreamReader;
  readonly head: StreamHead;
  readonly target: string;
  readonly options: ReceiveOptions;
}

async function receivePart(host: Host, part: Part): Promise<void> {
  const { head, target, options, reader } = part;
  const [name = ''] = target.split('@');
  const kind = head.fromGuid === undefined ? 'full stream' : 'incremental stream';
  const failed = (reason: string): never =>
    refuse(`cannot receive ${head.fromGuid === undefined ? 'new filesystem' : 'incremental'} stream: ${reason}`);
  const problem = nameProblem(target, 'snapshot');
  if (problem !== undefined) refuse(`cannot receive: ${problem}`);
  const isThere =
    head.fromGuid === undefined ? admitNew(host, part, failed) : await admitIncremental(host, part, failed);
  if (isThere || options.dryRun) {
    if (!isThere) options.log(`would receive ${kind} of ${head.name} into ${target}\n`);
    await reader.files(undefined);
    return;
  }
  options.log(`receiving ${kind} of ${head.name} into ${target}\n`);
  const snapshot: SnapshotRecord = {
    name: target.split('@')[1] ?? '',
    guid: head.guid,
    createtxg: readPools(host).txg + 1,
    creation: head.creation,
    referencedBytes: head.referencedBytes,
    properties: { ...head.snapshotProperties },
    holds: head.holds.map((tag) => ({ tag, time: Math.floor(Date.now() / 1000) })),
  };
  const arriving = arrivingDirectory(host, head.guid);
  rmSync(arriving, { recursive: true, force: true });
  try {
    await reader.files(head.type === 'volume' ? undefined : arriving);
  } catch (err) {
    rmSync(arriving, { recursive: true, force: true });
    if (err instanceof BadStream) cut(host, part, failed);
    throw err;
  }
  await settle(host, { ...part, name, snapshot });
  options.log(`received ${humanStream(head.bytes)} stream in 0.10 seconds (${humanStream(head.bytes * 10)}/sec)\n`);
}

function humanStream(bytes: number): string {
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)}K` : `${(bytes / 1024 ** 2).toFixed(2)}M`;
}

type Failed = (reason: string) => never;

/** True: there is nothing to do. */
function admitNew(host: Host, { head, target, options }: Part, failed: Failed): boolean {
  const state = readPools(host);
  const [name = ''] = target.split('@');
  const existing = findDataset(state, name);
  if (head.isResumed === true && existing?.partial?.toGuid === head.guid) return false;
  if (existing !== undefined) replaceable(existing, { options, failed });
  const parent = parentOf(name) ?? name;
  if (findDataset(state, parent) === undefined) {
    const missing = findDataset(state, poolOf(name)) === undefined ? poolOf(name) : parent;
    refuse(
      `cannot open '${missing}': dataset does not exist\ncannot receive new filesystem stream: unable to restore to destination`,
    );
  }
  requireRoom(host, state, { parent, name, bytes: head.referencedBytes, failed });
  if (existing !== undefined && !options.dryRun) destroyDataset(host, name, { recursive: true, withClones: true });
  return false;
}

function replaceable(existing: DatasetRecord, at: { options: ReceiveOptions; failed: Failed }): void {
  if (!at.options.force) at.failed(`destination '${existing.name}' exists\nmust specify -F to overwrite it`);
  const first = existing.snapshots[0];
  if (first !== undefined)
    at.failed(`destination has snapshots (eg. ${existing.name}@${first.name})\nmust destroy them to overwrite it`);
}

function requireRoom(
  host: Host,
  state: PoolState,
  at: { parent: string; name: string; bytes: number; failed: Failed },
): void {
  const usage = usageOf(host, state);
  if ((usage.get(poolOf(at.parent))?.available ?? 0) < at.bytes) at.failed('out of space');
  if ((usage.get(at.parent)?.available ?? 0) < at.bytes) at.failed(`destination ${at.name} space quota exceeded.`);
}

async function admitIncremental(host: Host, { head, target, options }: Part, failed: Failed): Promise<boolean> {
  const state = readPools(host);
  const [name = ''] = target.split('@');
  const dataset = findDataset(state, name);
  if (dataset === undefined) return failed(`destination '${name}' does not exist`);
  if (dataset.snapshots.some((entry) => entry.guid === head.guid)) return true;
  const base = dataset.snapshots.find((entry) => entry.guid === head.fromGuid);
  const isLast = base !== undefined && base === dataset.snapshots.at(-1);
  if (base === undefined || (!isLast && !options.force))
    return failed(`most recent snapshot of ${name} does not\nmatch incremental source`);
  const isChanged = !isLast || isChangedSince(host, state, { dataset, snapshot: base });
  if (isChanged) await undoChanges(host, { snapshot: `${name}@${base.name}`, options, failed });
  return false;
}

/** With -F, what was changed or taken after the base goes. */
async function undoChanges(
  host: Host,
  at: { snapshot: string; options: ReceiveOptions; failed: Failed },
): Promise<void> {
  const [name = ''] = at.snapshot.split('@');
  if (!at.options.force) at.failed(`destination ${name} has been modified\nsince most recent snapshot`);
  if (!at.options.dryRun) await rollback(host, at.snapshot, { destroyNewer: true, withClones: false });
}

/** The stream ended too early. */
function cut(host: Host, part: Part, failed: Failed): never {
  const { head, options, target } = part;
  if (!options.resumable || head.fromGuid !== undefined) return failed('incomplete stream');
  const [name = ''] = target.split('@');
  const token = tokenOf({ guid: head.guid, name: head.name, bytes: part.reader.bytesRead });
  changePools(host, (state) => {
    const found = findDataset(state, name);
    const dataset = found ?? newDataset(host, state, { name, type: head.type, properties: {} });
    dataset.partial = { token, snapshot: head.name, toGuid: head.guid, bytes: part.reader.bytesRead };
    if (found === undefined) state.datasets.push(dataset);
  });
  return failed(
    `checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\nA resuming stream can be generated on the sending system by running:\n    zfs send -t ${token}`,
  );
}

async function settle(host: Host, at: Part & { name: string; snapshot: SnapshotRecord }): Promise<void> {
  const { head, options, name, snapshot } = at;
  const isVolume = head.type === 'volume';
  const [arriving, kept] = [arrivingDirectory(host, head.guid), arrivingDirectory(host, `${head.guid}.snapshot`)];
  if (!isVolume) {
    mkdirSync(arriving, { recursive: true });
    rmSync(kept, { recursive: true, force: true });
    await copyTree(arriving, kept, new Set());
  }
  changePools(host, (state) => {
    state.txg += 1;
    const dataset = findDataset(state, name) ?? newRecord(host, state, { head, options, name });
    const store = storeOf(dataset, snapshot);
    if (!isVolume) {
      keepSnapshot(snapshotDirectory(host, { ...snapshot, store }), kept);
      dataset.replacedBy = head.guid;
    }
    delete dataset.partial;
    dataset.snapshots.push({ ...snapshot, store });
    if (head.volsize !== undefined) dataset.properties['volsize'] = head.volsize;
  });
  if (isVolume) return;
  if (options.unmounted) return;
  changePools(host, (now) => {
    const dataset = findDataset(now, name);
    if (dataset !== undefined && dataset.mountedAt === undefined && mountsItself(now, dataset))
      attach(host, now, dataset);
  });
}

/** Before the record: of one that was killed in between nothing is known. */
function keepSnapshot(store: string, files: string): void {
  mkdirSync(dirname(store), { recursive: true });
  rmSync(store, { recursive: true, force: true });
  renameSync(files, store);
}

function storeOf(dataset: DatasetRecord, snapshot: SnapshotRecord): string {
  return `${snapshot.guid}-${dataset.guid}`;
}

function newRecord(
  host: Host,
  state: PoolState,
  at: { head: StreamHead; options: ReceiveOptions; name: string },
): DatasetRecord {
  const { head, options, name } = at;
  const own = Object.fromEntries(options.properties.map(([key, value]) => [key, checked(head.type, key, value)]));
  const dataset = newDataset(host, state, { name, type: head.type, properties: own });
  const received = Object.entries(head.properties).filter(([key]) => !options.excluded.includes(key));
  if (received.length > 0) dataset.received = Object.fromEntries(received);
  state.datasets.push(dataset);
  return dataset;
}

function checked(kind: DatasetKind, key: string, value: string): string {
  try {
    return storedValue(key, value, { kind, isNew: true });
  } catch (err) {
    throw new ToolError(`cannot receive: ${(err as Error).message}\n`, 1);
  }
}

/** `recv -A`: what a cut stream left goes. */
export function abandon(host: Host, name: string): void {
  const dataset = findDataset(readPools(host), name);
  if (dataset?.partial === undefined)
    refuse(
      dataset === undefined
        ? `cannot open '${name}': dataset does not exist`
        : `'${name}' does not have any resumable receive state to abort`,
    );
  destroyDataset(host, name, { recursive: false });
}
