/**
 * operation/: long-running work on this node. This file holds every operation that is known: it starts them (once per
 * idempotency key), queues them, keeps the newest ended ones, replays their events and cancels them. It knows nothing
 * about containers or images: bodies come from the rooms above, and so do the recovery rules of their kinds. It may
 * call host/ and kit; never the other rooms of its line.
 */
import { type Operation, type OperationEvent, OperationState } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { followLive } from './follow.ts';
import {
  isEnded,
  type JournalReplay,
  journalPath,
  listJournals,
  readEndedOperation,
  removeJournal,
  setJournalAside,
} from './journal.ts';
import { JournalFolder } from './journal-folder.ts';
import { readJournal } from './journal-replay.ts';
import { LiveOperation, stateName } from './live-operation.ts';
import type { OperationQueue } from './queue.ts';
import { type NewOperationParts, newOperation, type OperationBody, type OperationRequest } from './request.ts';
import type { Recovery, RecoveryRule } from './settle.ts';
import { cutShort, lostQuorum, type Settling } from './settle.ts';
import { Settler, type SettlerParts } from './settler.ts';
import { Work } from './work.ts';

/** An operation of an earlier process, while it is brought to its end. */
export interface Adopted {
  readonly live: LiveOperation;
  /** Heeds no cancel: what is left of it has to go, or to be finished, whoever wants it. */
  readonly work: Work;
  /** Applies its kind's rule until it holds; see settle.ts. */
  readonly settle: (apply: Settling['apply']) => Promise<Recovery>;
}

export interface OperationStoreParts extends SettlerParts, NewOperationParts {
  readonly queue: OperationQueue;
  /** Ended operations to keep. */
  readonly keep?: number;
  /** Called when the work itself begins, with who ordered it. */
  readonly onBegin?: (operation: Operation, actor: string) => void;
  /** Called at each end: the room above logs it or hints the inventory. */
  readonly onEnd?: (operation: Operation) => void;
  /**
   * Called when the disk does not take the journal of work that has begun. It must end the process: only the next one,
   * which reads what is on the disk, can tell what is to be done. Default: throws.
   */
  readonly onJournalFailure?: (error: PxmError) => never;
  /** Called for a journal that cannot be read, gone on with, or removed. */
  readonly onDamage?: (path: string, error: unknown) => void;
}

const KEEP_DEFAULT = 500;

export class OperationStore {
  readonly #parts: OperationStoreParts;
  readonly #live = new Map<string, LiveOperation>();
  readonly #ended = new Map<string, Operation>();
  readonly #byKey = new Map<string, string>();
  readonly #starting = new Map<string, Promise<Operation>>();
  /** Orders whose first line is on its way to the disk. */
  readonly #beginning = new Set<Promise<Operation>>();
  readonly #settled = new Map<string, Promise<void>>();
  readonly #journals: JournalFolder;
  /** Stopping: what waits for quorum is left for the next process. */
  readonly #halt = new AbortController();
  readonly #left = new Set<string>();
  readonly #settler: Settler;

  constructor(parts: OperationStoreParts) {
    this.#parts = parts;
    this.#journals = new JournalFolder(parts.directory, parts.onJournalFailure);
    this.#settler = new Settler(parts, this.#halt.signal);
  }

  get clock(): OperationStoreParts['clock'] {
    return this.#parts.clock;
  }

  /** Reads the journals; gives those that never ended, oldest first, for `recoverAll`. */
  async load(): Promise<JournalReplay[]> {
    const { directory } = this.#parts;
    await this.#journals.prepare();
    const unfinished: JournalReplay[] = [];
    for (const id of await listJournals(directory)) {
      try {
        const replay = await this.#read(id);
        if (replay !== undefined) unfinished.push(replay);
      } catch (error) {
        await this.setAside(id, error);
      }
    }
    await this.#prune();
    return unfinished;
  }

  /** For a journal that nobody can make sense of: it must not keep the others, and new work, from going on. */
  async setAside(id: string, error: unknown): Promise<void> {
    this.#live.get(id)?.journal.close();
    this.#live.delete(id);
    this.#settled.delete(id);
    for (const [key, known] of this.#byKey) if (known === id) this.#byKey.delete(key);
    const aside = await setJournalAside(this.#parts.directory, id);
    this.#parts.onDamage?.(aside, error);
  }

  /** Undefined for one that has ended, or never began. */
  async #read(id: string): Promise<JournalReplay | undefined> {
    const { directory } = this.#parts;
    const ended = await readEndedOperation(directory, id);
    const replay = ended === undefined ? await readJournal(directory, id) : undefined;
    const operation = ended ?? replay?.operation;
    if (operation === undefined) await removeJournal(directory, id);
    else if (isEnded(operation.state)) this.#remember(operation);
    else return replay;
    return undefined;
  }

  /**
   * Queues the work and answers at once. The same idempotency key gives the operation that already has it, also
   * after a restart. Errors: PXM_QUEUE_FULL, PXM_SHUTTING_DOWN, PXM_DISK_FULL, PXM_DISK_FAILED.
   */
  start(request: OperationRequest, body: OperationBody): Promise<Operation> {
    const key = request.order?.idempotencyKey ?? '';
    const known = key === '' ? undefined : this.findByKey(key);
    if (known !== undefined) return Promise.resolve(known);
    const starting = this.#starting.get(key);
    if (key !== '' && starting !== undefined) return starting;
    const started = this.#begin(request, body).finally(() => {
      this.#starting.delete(key);
      this.#beginning.delete(started);
    });
    if (key !== '') this.#starting.set(key, started);
    this.#beginning.add(started);
    return started;
  }

  /**
   * Goes on with the journal of an earlier process: `body` finishes or undoes its work. When this returns the operation
   * is known and holds its keys again: who takes all before listening lets nobody in between.
   */
  adopt(replay: JournalReplay, body: (adopted: Adopted) => Promise<void>): Promise<void> {
    const { clock, queue } = this.#parts;
    const { id, state } = replay.operation;
    const journal = this.#journals.open(id, replay.effects.length);
    const live = new LiveOperation(replay.operation, { clock, journal, events: replay.events });
    this.#register(live);
    const adopted: Adopted = {
      live,
      work: this.#settler.workOn(live),
      settle: (apply) => this.#settle(live, { apply, onWait: () => undefined }),
    };
    // One that had not begun holds nothing.
    const keys = state === OperationState.OPERATION_STATE_QUEUED ? [] : replay.keys;
    const done = queue.run(keys, () => this.#endAdopted(adopted, body), { beyondLimit: true });
    this.#settled.set(
      id,
      done.catch(() => undefined),
    );
    return done;
  }

  async #endAdopted(adopted: Adopted, body: (adopted: Adopted) => Promise<void>): Promise<void> {
    const { live } = adopted;
    try {
      await body(adopted);
    } catch (error) {
      if (!this.#halt.signal.aborted) throw error;
      this.#left.add(live.id);
    }
    await this.#retire(live);
  }

  /** PXM_OPERATION_NOT_FOUND when unknown or pruned. */
  get(id: string): Operation {
    const found = this.#live.get(id)?.snapshot() ?? this.#ended.get(id);
    if (found === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
    return found;
  }

  findByKey(key: string): Operation | undefined {
    const id = this.#byKey.get(key);
    return id === undefined ? undefined : this.get(id);
  }

  /** Newest first. */
  list(options: { activeOnly: boolean; limit: number }): Operation[] {
    const live = [...this.#live.values()].map((operation) => operation.snapshot());
    const all = options.activeOnly ? live : [...live, ...this.#ended.values()];
    all.sort((a, b) => (a.id < b.id ? 1 : -1));
    return options.limit > 0 ? all.slice(0, options.limit) : all;
  }

  /** Has not ended. */
  isLive(id: string): boolean {
    return this.#live.has(id);
  }

  /** Titles of operations that could not go on and are being brought to their end. */
  settling(): readonly string[] {
    return this.#settler.settling;
  }

  /** True while some operation that wants `key` waits or runs. */
  isBusy(key: string): boolean {
    return this.#parts.queue.isTaken(key);
  }

  /** All events after `afterSeq`, then those to come; ends with the operation. */
  async *watch(id: string, afterSeq: bigint, signal?: AbortSignal): AsyncGenerator<OperationEvent> {
    const live = this.#live.get(id);
    if (live === undefined) {
      this.get(id);
      const replay = await readJournal(this.#parts.directory, id);
      for (const event of replay?.events ?? []) if (event.seq > afterSeq) yield event;
      return;
    }
    yield* followLive(live, afterSeq, signal);
  }

  /** Asks it to stop; it undoes what it made and ends as cancelled. PXM_OPERATION_ENDED when there is nothing to stop. */
  cancel(id: string, actor: string): Operation {
    const live = this.#live.get(id);
    if (live === undefined || live.ended) {
      throw new PxmError('PXM_OPERATION_ENDED', { operation: id, state: stateName(this.get(id).state) });
    }
    const by = actor === '' ? '' : ` (by ${actor})`;
    live.abort.abort(new PxmError('PXM_CANCELLED', { what: `operation ${id}` }, { detail: by.trim() }));
    return live.snapshot();
  }

  /** Refuses new work, cancels what runs, and waits until all of it has undone itself. */
  async stop(): Promise<void> {
    const reason = new PxmError('PXM_SHUTTING_DOWN', { program: 'pxmgr-agent' });
    this.#halt.abort(reason);
    for (const live of this.#live.values()) live.abort.abort(reason);
    await Promise.allSettled(this.#beginning);
    await Promise.allSettled(this.#settled.values());
  }

  /** For tests and orderly stops: resolves when the operation has ended. */
  async settled(id: string): Promise<Operation> {
    await this.#settled.get(id);
    return this.get(id);
  }

  async #begin(request: OperationRequest, body: OperationBody): Promise<Operation> {
    if (this.#halt.signal.aborted) throw new PxmError('PXM_SHUTTING_DOWN', { program: 'pxmgr-agent' });
    const { queue, clock, runner, rules } = this.#parts;
    if (rules?.has(request.kind) === false)
      throw new PxmError('PXM_INTERNAL', {}, { detail: `${request.kind} could not be recovered after a crash` });
    queue.checkRoom();
    const operation = newOperation(request, this.#parts);
    const journal = await this.#journals.begin(operation, request);
    const live = new LiveOperation(operation, { clock, journal });
    this.#register(live);
    live.announce();
    const first = live.snapshot();
    this.#settled.set(
      live.id,
      queue
        .run(
          request.keys,
          (givePlace) => {
            this.#parts.onBegin?.(live.snapshot(), request.order?.actor ?? '');
            return this.#carryOut(live, () => body(new Work(live, runner)), givePlace);
          },
          { signal: live.abort.signal },
        )
        .catch((error: unknown) => this.#conclude(live, error))
        .finally(() => this.#retire(live)),
    );
    return first;
  }

  async #carryOut(live: LiveOperation, body: () => Promise<void>, givePlace: () => void): Promise<void> {
    live.move(OperationState.OPERATION_STATE_RUNNING);
    try {
      await body();
      live.move(OperationState.OPERATION_STATE_DONE);
    } catch (error) {
      const rule = this.#settler.ruleAfter(live, error);
      if (rule === undefined) throw error;
      await this.#settleCutOff(live, { rule, error, givePlace });
    }
  }

  /** What had begun when the node lost the others ends by the same rule as after a crash. */
  async #settleCutOff(
    live: LiveOperation,
    { rule, error, givePlace }: { rule: RecoveryRule; error: unknown; givePlace: () => void },
  ): Promise<void> {
    const work = this.#settler.workOn(live);
    const title = 'finish or take back what was cut off from the cluster';
    const { outcome, error: failure } = await work.step('recover', title, () =>
      this.#settle(live, { apply: (replay) => rule(replay, work), onWait: givePlace }),
    );
    if (outcome === 'undone') this.#conclude(live, lostQuorum(this.#parts.node.name, error), outcome);
    else if (failure !== undefined) this.#conclude(live, failure, outcome);
    else live.move(OperationState.OPERATION_STATE_DONE, { recovery: outcome });
  }

  async #settle(live: LiveOperation, how: Pick<Settling, 'apply' | 'onWait'>): Promise<Recovery> {
    try {
      return await this.#settler.settle(live, how);
    } catch (error) {
      if (this.#halt.signal.aborted) this.#left.add(live.id);
      throw error;
    }
  }

  #conclude(live: LiveOperation, error: unknown, recovery?: Recovery['outcome']): void {
    if (live.ended || this.#left.has(live.id)) return;
    const cancelled = live.abort.signal.aborted && !this.#halt.signal.aborted && !isHardFailure(error);
    live.move(cancelled ? OperationState.OPERATION_STATE_CANCELLED : OperationState.OPERATION_STATE_FAILED, {
      error: cutShort(this.#halt.signal, error),
      ...(recovery === undefined ? {} : { recovery }),
    });
  }

  #register(live: LiveOperation): void {
    this.#live.set(live.id, live);
    // Stopped while its first line was on its way to the disk.
    if (this.#halt.signal.aborted) live.abort.abort(this.#halt.signal.reason);
    const key = live.snapshot().idempotencyKey;
    if (key !== '') this.#byKey.set(key, live.id);
  }

  async #retire(live: LiveOperation): Promise<void> {
    await live.journal.sync();
    live.journal.close();
    this.#live.delete(live.id);
    this.#settled.delete(live.id);
    if (this.#left.has(live.id)) return;
    const operation = live.snapshot();
    this.#remember(operation);
    this.#parts.onEnd?.(operation);
    await this.#prune();
  }

  #remember(operation: Operation): void {
    this.#ended.set(operation.id, operation);
    if (operation.idempotencyKey !== '') this.#byKey.set(operation.idempotencyKey, operation.id);
  }

  async #prune(): Promise<void> {
    const excess = this.#ended.size - (this.#parts.keep ?? KEEP_DEFAULT);
    if (excess <= 0) return;
    for (const operation of [...this.#ended.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, excess)) {
      this.#ended.delete(operation.id);
      if (this.#byKey.get(operation.idempotencyKey) === operation.id) this.#byKey.delete(operation.idempotencyKey);
      await removeJournal(this.#parts.directory, operation.id).catch((error: unknown) =>
        this.#parts.onDamage?.(journalPath(this.#parts.directory, operation.id), error),
      );
    }
  }
}

/** A cancelled operation that could not undo its work has failed, whoever asked for it. */
function isHardFailure(error: unknown): boolean {
  return error instanceof PxmError && error.code === 'PXM_UNDO_INCOMPLETE';
}
