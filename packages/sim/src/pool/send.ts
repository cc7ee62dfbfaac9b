/** Sending snapshots (openzfs/zfs lib/libzfs/libzfs_sendrecv.c; sizes as module/zfs/dmu_send.c estimates them). */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { readJson } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { findBookmark } from './clone-verbs.ts';
import { openText } from './names.ts';
import { isUserProperty } from './properties.ts';
import { NATIVE } from './property-table.ts';
import { refuse } from './refuse.ts';
import {
  type DatasetRecord,
  findDataset,
  findSnapshot,
  type PoolState,
  poolOf,
  readPools,
  type SnapshotRecord,
  snapshotDirectory,
  subtree,
} from './state.ts';
import { type StreamHead, type Write, writeStream } from './stream.ts';

export interface SendOptions {
  /** Snapshot or bookmark the stream starts from: full name, `@name`, `#name` or a snapshot's name alone. */
  readonly from?: string;
  /** -I: every snapshot in between too. */
  readonly all?: boolean;
  /** The start is named by its tag alone, as -I and -R do. */
  readonly isShort?: boolean;
  /** -s: what lacks the snapshot is left out with a warning. */
  readonly skipsMissing?: boolean;
  /** -X, each with what lies below. */
  readonly excluded?: readonly string[];
  /** Its size is told, which is where a bookmark is first looked for then. */
  readonly isTold?: boolean;
  readonly warn?: (text: string) => void;
  /** -R: everything below, with properties. */
  readonly replicate?: boolean;
  readonly withProperties?: boolean;
  readonly withHolds?: boolean;
  readonly isResumed?: boolean;
}

export interface SendStep {
  readonly dataset: DatasetRecord;
  readonly snapshot: SnapshotRecord;
  /** As verbose output names it; none: full. */
  readonly fromName?: string;
  readonly fromGuid?: string;
  readonly bytes: number;
}

const BLOCK_BYTES = 131_072;
const RECORD_BYTES = 312;
const POINTER_BYTES = 128;
/** Between what a snapshot references and what is sent of it: metadata is kept twice on disk. */
const METADATA_BYTES = 15_872;
const EMPTY_STEP_BYTES = 7680;

function estimate(bytes: number): number {
  const records = Math.floor(bytes / BLOCK_BYTES);
  return bytes + records * (RECORD_BYTES - POINTER_BYTES) + 2 * RECORD_BYTES;
}

export function planSend(host: Host, name: string, options: SendOptions): SendStep[] {
  const state = readPools(host);
  if (!name.includes('@') && findDataset(state, name) === undefined) refuse(openText(name, 'dataset'));
  if (!name.includes('@'))
    refuse(`warning: cannot send '${name}': target is busy; if a filesystem, it must not be mounted`);
  const { dataset, snapshot } = findSnapshot(state, name) ?? refuse(openText(name, 'snapshot'));
  if (options.replicate !== true) return stepsOf(state, { dataset, snapshot }, options);
  const wanted = subtree(state, dataset.name).filter((one) => !isExcluded(one.name, options.excluded ?? []));
  return holdersOf(wanted, { dataset, snapshot }, options).flatMap((one) =>
    stepsOf(state, one, fromOf(one.dataset, options)),
  );
}

function isExcluded(name: string, excluded: readonly string[]): boolean {
  return excluded.some((top) => name === top || name.startsWith(`${top}/`));
}

/** A dataset made after the snapshot is left out; an older one without it stops the whole (send_iterate_fs). */
function holdersOf(datasets: readonly DatasetRecord[], top: Source, options: SendOptions): Source[] {
  const whole = `${top.dataset.name}@${top.snapshot.name}`;
  return datasets.flatMap((dataset) => {
    const snapshot = dataset.snapshots.find((entry) => entry.name === top.snapshot.name);
    if (snapshot !== undefined) return [{ dataset, snapshot }];
    const { name } = dataset;
    if (dataset.createtxg > top.snapshot.createtxg) {
      if (options.isTold === true)
        options.warn?.(`skipping dataset ${name}: snapshot ${top.snapshot.name} does not exist\n`);
    } else if (options.skipsMissing === true)
      options.warn?.(
        `WARNING: skipping dataset ${name} and its children: snapshot ${top.snapshot.name} does not exist\n`,
      );
    else
      refuse(
        `cannot send ${whole} recursively: snapshot ${name}@${top.snapshot.name} does not exist\nwarning: cannot send '${whole}': backup failed`,
      );
    return [];
  });
}

/** What does not have the start, or when none is named, is sent from its beginning (cmd/zfs/zfs_main.c zfs_do_send). */
function fromOf(dataset: DatasetRecord, options: SendOptions): SendOptions {
  const tag = options.from?.split('@').at(-1);
  if (tag !== undefined && dataset.snapshots.some(({ name }) => name === tag)) return { ...options, from: `@${tag}` };
  const { from: _, ...rest } = options;
  return { ...rest, all: true };
}

interface Source {
  readonly dataset: DatasetRecord;
  readonly snapshot: SnapshotRecord;
}

function stepsOf(state: PoolState, { dataset, snapshot }: Source, options: SendOptions): SendStep[] {
  const start = options.from === undefined ? undefined : startOf(state, { dataset, snapshot }, options);
  const last = dataset.snapshots.indexOf(snapshot);
  const isChain = options.all === true;
  const first = !isChain
    ? last
    : start === undefined
      ? 0
      : dataset.snapshots.findIndex((entry) => entry.createtxg > start.createtxg);
  const steps: SendStep[] = [];
  let before = start;
  for (const entry of dataset.snapshots.slice(first, last + 1)) {
    const fromName = before === undefined ? undefined : options.isShort === true ? before.name : before.fullName;
    const written = Math.max(0, entry.referencedBytes - (before?.referencedBytes ?? 0));
    const bytes =
      before === undefined ? Math.max(0, entry.referencedBytes - METADATA_BYTES) : written + EMPTY_STEP_BYTES;
    steps.push({
      dataset,
      snapshot: entry,
      bytes: estimate(bytes),
      ...(before === undefined || fromName === undefined ? {} : { fromName, fromGuid: before.guid }),
    });
    before = { ...entry, fullName: `${dataset.name}@${entry.name}` };
  }
  return steps;
}

interface Start {
  readonly name: string;
  readonly fullName: string;
  readonly guid: string;
  readonly createtxg: number;
  readonly referencedBytes: number;
}

function startOf(state: PoolState, { dataset, snapshot }: Source, options: SendOptions): Start {
  const from = options.from ?? '';
  const fullName = /^[@#]/.test(from) ? `${dataset.name}${from}` : /[@#]/.test(from) ? from : `${dataset.name}@${from}`;
  const found = findSnapshot(state, fullName)?.snapshot ?? findBookmark(state, fullName);
  const failed = (reason: string): never =>
    refuse(`warning: cannot send '${dataset.name}@${snapshot.name}': ${reason}`);
  if (found === undefined)
    return fullName.includes('#') ? failed(noBookmark(fullName, options)) : refuse(openText(fullName, 'any'));
  const isOrigin = dataset.origin === fullName;
  const isSame = fullName.split(/[@#]/)[0] === dataset.name;
  if (!isOrigin && (!isSame || found.createtxg >= snapshot.createtxg))
    failed('not an earlier snapshot from the same fs');
  return { ...found, fullName };
}

function noBookmark(name: string, { isTold }: SendOptions): string {
  return isTold === true ? 'No such file or directory' : `incremental source (${name}) does not exist`;
}

/** While it is sent, nobody may destroy it. */
export async function sendSteps(
  host: Host,
  steps: readonly SendStep[],
  at: { options: SendOptions; write: Write },
): Promise<void> {
  const damaged = readPools(host).pools.find(
    (pool) => pool.errorCount > 0 && pool.name === poolOf(steps[0]?.dataset.name ?? ''),
  );
  if (damaged !== undefined)
    refuse(
      `warning: cannot send '${steps[0]?.dataset.name ?? ''}@${steps[0]?.snapshot.name ?? ''}': Input/output error`,
    );
  const mark = host.simPath('sending', `${process.pid}-${steps[0]?.snapshot.guid ?? ''}.json`);
  mkdirSync(host.simPath('sending'), { recursive: true });
  writeFileSync(mark, JSON.stringify(steps.map((step) => `${step.dataset.name}@${step.snapshot.name}`)));
  try {
    await writeStream(
      at.write,
      steps.map((step) => ({
        head: headOf(step, at.options),
        directory: step.dataset.type === 'volume' ? undefined : snapshotDirectory(host, step.snapshot),
      })),
    );
  } finally {
    rmSync(mark, { force: true });
  }
}

function headOf({ dataset, snapshot, fromGuid, bytes }: SendStep, options: SendOptions): StreamHead {
  const withProperties = options.withProperties === true || options.replicate === true;
  const { volsize } = dataset.properties;
  return {
    name: `${dataset.name}@${snapshot.name}`,
    guid: snapshot.guid,
    ...(fromGuid === undefined ? {} : { fromGuid }),
    type: dataset.type,
    bytes,
    referencedBytes: snapshot.referencedBytes,
    creation: snapshot.creation,
    properties: withProperties ? sentProperties(dataset) : {},
    snapshotProperties: withProperties ? snapshot.properties : {},
    ...(volsize === undefined ? {} : { volsize }),
    ...(options.isResumed === true ? { isResumed: true } : {}),
    holds: options.withHolds === true ? snapshot.holds.map((entry) => entry.tag) : [],
  };
}

function sentProperties({ properties, received }: DatasetRecord): Record<string, string> {
  const all = { ...received, ...properties };
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => isUserProperty(name) || NATIVE.get(name)?.isEditable === true),
  );
}

/** Snapshots that a living process sends. */
export function sending(host: Host): Set<string> {
  try {
    return new Set(
      readdirSync(host.simPath('sending'))
        .filter((name) => isAlive(Number(name.split('-')[0])))
        .flatMap((name) => readJson<string[]>(host.simPath('sending', name)) ?? []),
    );
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return new Set();
    throw err;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What a token of a cut transfer resumes. Throws as `zfs send -t` does. */
export function resumePlan(host: Host, token: string): SendStep[] {
  const state = readPools(host);
  const guid = guidOfToken(token);
  for (const dataset of state.datasets) {
    const snapshot = dataset.snapshots.find((entry) => entry.guid === guid);
    if (snapshot !== undefined && findDataset(state, dataset.name) !== undefined)
      return stepsOf(state, { dataset, snapshot }, {});
  }
  throw new ToolError('cannot resume send: incremental source no longer exists\n', 255);
}

function guidOfToken(token: string): string {
  const failed = (reason: string): never => refuse(`cannot resume send: resume token is corrupt (${reason})`, 255);
  const [, version] = /^(\d+)-[0-9a-f]+-[0-9a-f]+/i.exec(token) ?? failed('invalid format');
  if (version !== '1') failed(`invalid version ${version}`);
  const body = token.split('-')[3] ?? '';
  const guid = /^[0-9a-f]+$/.test(body) ? Buffer.from(body, 'hex').toString().split('\n')[0] : undefined;
  return guid !== undefined && /^\d+$/.test(guid) ? guid : failed('incorrect checksum');
}

export function tokenOf(at: { guid: string; name: string; bytes: number }): string {
  const body = Buffer.from(`${at.guid}\n${at.name}\n${at.bytes}`).toString('hex');
  return `1-${Number(BigInt(at.guid) % 0xfffffffffn).toString(16)}-${(body.length / 2).toString(16)}-${body}`;
}
