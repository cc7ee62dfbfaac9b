import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isId } from '@pxmgr/contract';
import { Operation, OperationEvent, OperationState } from '@pxmgr/contract/common';

/**
 * What an operation leaves on disk while it runs: one JSON line per entry, only ever appended. `intent` is on the
 * disk before its effect begins and `outcome` after it, so that a killed agent knows what may exist. A torn last line
 * (killed in mid-write) is ignored: its effect had not begun.
 */
const fdatasyncAsync = promisify(fdatasync);

/** An effect about to happen: enough to undo or finish it after a crash. Never a secret. */
export interface Effect {
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
}

export interface RecordedEffect extends Effect {
  /** Undefined while nothing is known: it may have happened, in part or whole. */
  readonly outcome: 'done' | 'failed' | undefined;
}

/** A program that an operation started; the start time tells it from a later process with the same number. */
export interface Child {
  readonly pid: number;
  /** Clock ticks since boot, as /proc tells; empty when it was gone too soon. */
  readonly startTime: string;
}

/** A journal read back. */
export interface JournalReplay {
  /** Snapshot of the newest event that carries one. */
  readonly operation: Operation;
  readonly keys: readonly string[];
  /** What the request was, for the recovery of its kind. */
  readonly params: unknown;
  readonly effects: readonly RecordedEffect[];
  /** Programs whose end is not recorded: they may have outlived the agent. */
  readonly children: readonly Child[];
  readonly events: readonly OperationEvent[];
}

interface Begin {
  readonly operation: unknown;
  readonly keys: readonly string[];
  readonly params: unknown;
}

interface Line {
  readonly begin?: Begin;
  readonly event?: unknown;
  readonly intent?: { readonly n: number; readonly name: string; readonly data: Record<string, string> };
  readonly outcome?: { readonly n: number; readonly done: boolean };
  readonly child?: Child;
  readonly ended?: { readonly pid: number };
}

/** Writer of one operation's file. Lines reach the kernel in order; `sync` puts them on the disk. */
export class Journal {
  readonly path: string;
  #fd: number | undefined;
  #effects = 0;

  constructor(directory: string, id: string, effects = 0) {
    this.path = journalPath(directory, id);
    this.#effects = effects;
    this.#fd = openSync(this.path, 'a', 0o600);
  }

  /** First line; durable together with the folder entry before it returns. */
  async begin(operation: Operation, keys: readonly string[], params: unknown): Promise<void> {
    this.#write({ begin: { operation: Operation.toJSON(operation), keys, params } });
    await this.sync();
    await syncFolder(join(this.path, '..'));
  }

  /** Progress; survives a crash of the agent, not one of the host. */
  event(event: OperationEvent): void {
    this.#write({ event: OperationEvent.toJSON(event) });
  }

  /** Durable before it returns: only then may the effect begin. Gives the number that `outcome` wants. */
  async intent(effect: Effect): Promise<number> {
    this.#effects += 1;
    const n = this.#effects;
    this.#write({ intent: { n, name: effect.name, data: { ...effect.data } } });
    await this.sync();
    return n;
  }

  async outcome(n: number, done: boolean): Promise<void> {
    this.#write({ outcome: { n, done } });
    await this.sync();
  }

  /** Not synced: after a crash of the host no program is left. */
  childStarted(child: Child): void {
    this.#write({ child });
  }

  childEnded(pid: number): void {
    this.#write({ ended: { pid } });
  }

  async sync(): Promise<void> {
    if (this.#fd !== undefined) await fdatasyncAsync(this.#fd);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #write(line: Line): void {
    if (this.#fd === undefined) return;
    writeSync(this.#fd, `${JSON.stringify(line)}\n`);
  }
}

export function journalPath(directory: string, id: string): string {
  return join(directory, `${id}.jsonl`);
}

/** Ids of all journals, oldest first (ids sort by time). Makes the folder. */
export async function listJournals(directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const names = await readdir(directory);
  return names
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => name.slice(0, -'.jsonl'.length))
    .filter((id) => isId('operation', id))
    .sort();
}

/** Undefined when the file holds no complete first line: the operation had not begun. */
export async function readJournal(directory: string, id: string): Promise<JournalReplay | undefined> {
  return replay(await readFile(journalPath(directory, id), 'utf8'));
}

const TAIL_BYTES = 64 * 1024;

/** The last snapshot, read from the end of the file alone; undefined when the operation has not ended. */
export async function readEndedOperation(directory: string, id: string): Promise<Operation | undefined> {
  const file = await open(journalPath(directory, id), 'r');
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const line = parseLine(buffer.toString('utf8').trimEnd().split('\n').at(-1) ?? '');
    if (line?.event === undefined) return undefined;
    const { event } = OperationEvent.fromJSON(line.event);
    return event?.$case === 'operation' && isEnded(event.value.state) ? event.value : undefined;
  } finally {
    await file.close();
  }
}

export async function removeJournal(directory: string, id: string): Promise<void> {
  await unlink(journalPath(directory, id));
}

export function isEnded(state: OperationState): boolean {
  return (
    state === OperationState.OPERATION_STATE_DONE ||
    state === OperationState.OPERATION_STATE_FAILED ||
    state === OperationState.OPERATION_STATE_CANCELLED
  );
}

/** What the lines read so far add up to. */
interface Reading {
  begin?: Begin;
  operation?: Operation;
  readonly effects: Map<number, RecordedEffect>;
  readonly children: Map<number, Child>;
  readonly events: OperationEvent[];
}

function replay(text: string): JournalReplay | undefined {
  const reading: Reading = { effects: new Map(), children: new Map(), events: [] };
  for (const line of text.split('\n').map(parseLine)) if (line !== undefined) readLine(reading, line);
  const { begin, operation, effects, children, events } = reading;
  if (begin === undefined || operation === undefined) return undefined;
  const { keys, params } = begin;
  return { operation, keys, params, effects: [...effects.values()], children: [...children.values()], events };
}

function readLine(reading: Reading, line: Line): void {
  const { begin, intent, outcome, child, ended } = line;
  if (begin !== undefined) {
    reading.begin = begin;
    reading.operation = Operation.fromJSON(begin.operation);
  }
  if (intent !== undefined) reading.effects.set(intent.n, { name: intent.name, data: intent.data, outcome: undefined });
  if (outcome !== undefined) settle(reading.effects, outcome);
  if (child !== undefined) reading.children.set(child.pid, child);
  if (ended !== undefined) reading.children.delete(ended.pid);
  if (line.event === undefined) return;
  const event = OperationEvent.fromJSON(line.event);
  reading.events.push(event);
  if (event.event?.$case === 'operation') reading.operation = event.event.value;
}

function settle(effects: Map<number, RecordedEffect>, outcome: { n: number; done: boolean }): void {
  const effect = effects.get(outcome.n);
  if (effect !== undefined) effects.set(outcome.n, { ...effect, outcome: outcome.done ? 'done' : 'failed' });
}

/** A line that is not whole JSON was torn by the crash. */
function parseLine(text: string): Line | undefined {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as Line;
  } catch {
    // Torn by a kill in mid-write.
    return undefined;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
