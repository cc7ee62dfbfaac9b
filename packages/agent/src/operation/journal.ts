import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isId } from '@pxmgr/contract';
import { Operation, OperationEvent, OperationState } from '@pxmgr/contract/common';
import { diskError } from '@pxmgr/kit/error/disk-error';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import { syncFolder } from '@pxmgr/kit/fs/atomic';
import { isFull, JournalFile, type Reserve, type Weight } from './journal-file.ts';

/**
 * What an operation leaves on disk while it runs: one JSON line per entry, only ever appended. `intent` is on the
 * disk before its effect begins and `outcome` after it, so that a killed agent knows what may exist. A torn last line
 * (killed in mid-write) is cut off: its effect had not begun. On a full disk nothing begins, and what runs is undone.
 * On one that refuses a line nobody can say what is on it: the process ends, and the next one judges by what it reads.
 */
/** An effect about to happen: enough to undo or finish it after a crash. Never a secret. */
export interface Effect {
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
}

export interface RecordedEffect extends Effect {
  /** Undefined while nothing is known: it may have happened, in part or whole. */
  readonly outcome: 'done' | 'failed' | undefined;
}

/** A journal read back. */
export interface JournalReplay {
  /** Snapshot of the newest event that carries one. */
  readonly operation: Operation;
  readonly keys: readonly string[];
  /** What the request was, for the recovery of its kind. */
  readonly params: unknown;
  readonly effects: readonly RecordedEffect[];
  /** Lines that cannot be read: what they told of is not known. */
  readonly damagedLines: number;
  readonly events: readonly OperationEvent[];
}

/** No task of it is older. */
export function beganAt({ startedAt, createdAt }: Operation): Date {
  return startedAt ?? createdAt ?? new Date(0);
}

export interface Begin {
  readonly operation: unknown;
  readonly keys: readonly string[];
  readonly params: unknown;
}

export interface Line {
  readonly begin?: Begin;
  readonly event?: unknown;
  readonly intent?: { readonly n: number; readonly name: string; readonly data: Record<string, string> };
  readonly outcome?: { readonly n: number; readonly done: boolean };
}

export interface JournalPlace {
  readonly directory: string;
  readonly id: string;
  readonly reserve: Reserve;
  /** Called when the disk does not take a line after the first. Default: throws. */
  readonly onFailure?: (error: PxmError) => never;
}

/** Writer of one operation's file. Lines reach the kernel in order; `sync` puts them on the disk. */
export class Journal {
  readonly path: string;
  readonly #file: JournalFile;
  readonly #onFailure: (error: PxmError) => never;
  #effects = 0;

  /** A file that is there already is gone on with, after `effects` effects. */
  constructor({ directory, id, reserve, onFailure = rethrow }: JournalPlace, effects = 0) {
    this.path = journalPath(directory, id);
    this.#effects = effects;
    this.#file = new JournalFile(this.path, reserve);
    this.#onFailure = onFailure;
  }

  /** Some effect may have happened. */
  get hasEffects(): boolean {
    return this.#effects > 0;
  }

  /** First line; durable together with the folder entry before it returns. PXM_DISK_FULL, and what the kernel says. */
  async begin(operation: Operation, keys: readonly string[], params: unknown): Promise<void> {
    const line = JSON.stringify({ begin: { operation: Operation.toJSON(operation), keys, params } } satisfies Line);
    if (!this.#file.append(line, 'essential')) throw new PxmError('PXM_DISK_FULL', { path: this.path });
    await this.#file.sync();
    await syncFolder(join(this.path, '..'));
  }

  /** Progress; survives a crash of the agent, not one of the host. Nothing fails because it finds no room. */
  event(event: OperationEvent): void {
    const isState = event.event?.$case === 'operation' || event.event?.$case === 'stepChanged';
    this.#append({ event: OperationEvent.toJSON(event) }, isState ? 'essential' : 'progress');
  }

  /** Durable before it returns: only then may the effect begin. Gives the number that `outcome` wants. PXM_DISK_FULL. */
  async intent(effect: Effect): Promise<number> {
    this.#effects += 1;
    const n = this.#effects;
    const isWritten = this.#append({ intent: { n, name: effect.name, data: { ...effect.data } } }, 'essential');
    if (!isWritten) throw new PxmError('PXM_DISK_FULL', { path: this.path });
    await this.#file.sync().catch((error: unknown) => this.#fail(error));
    return n;
  }

  /** Without room for it recovery has to find out by itself, as after a crash. */
  async outcome(n: number, done: boolean): Promise<void> {
    if (this.#append({ outcome: { n, done } }, 'essential')) await this.sync();
  }

  async sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      if (!isFull(error)) this.#fail(error);
    }
  }

  close(): void {
    this.#file.close();
  }

  #append(line: Line, weight: Weight): boolean {
    try {
      return this.#file.append(JSON.stringify(line), weight);
    } catch (error) {
      return this.#fail(error);
    }
  }

  #fail(error: unknown): never {
    return this.#onFailure(diskError(error, this.path) ?? toPxmError(error));
  }
}

function rethrow(error: PxmError): never {
  throw error;
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

/** A journal that nobody can make sense of is kept for people, out of the way; its new path. */
export async function setJournalAside(directory: string, id: string): Promise<string> {
  const aside = `${journalPath(directory, id)}.damaged`;
  await rename(journalPath(directory, id), aside);
  return aside;
}

/** Undefined for a line that is not whole JSON. */
export function parseLine(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line | null;
    return line !== null && typeof line === 'object' ? line : undefined;
  } catch {
    // Torn by a kill in mid-write, or damaged on the disk.
    return undefined;
  }
}
