import { mayMove, OPERATION_MOVES } from '@pxmgr/contract';
import { type Operation, type OperationEvent, OperationState, type OperationStep } from '@pxmgr/contract/common';
import type { Clock } from '@pxmgr/kit/clock';
import { toProblem } from '@pxmgr/kit/error/to-problem';
import { isEnded, type Journal } from './journal.ts';

type EventBody = NonNullable<OperationEvent['event']>;

/** Log lines and byte counts beyond this are dropped, with one note: a full file system prints one line per file. */
const MAX_EVENTS = 5000;

const STATE_NAMES = {
  [OperationState.OPERATION_STATE_QUEUED]: 'queued',
  [OperationState.OPERATION_STATE_RUNNING]: 'running',
  [OperationState.OPERATION_STATE_DONE]: 'done',
  [OperationState.OPERATION_STATE_FAILED]: 'failed',
  [OperationState.OPERATION_STATE_CANCELLED]: 'cancelled',
} as const;

export function stateName(state: OperationState): string {
  return state in STATE_NAMES ? STATE_NAMES[state as keyof typeof STATE_NAMES] : 'unknown';
}

/** One operation while it lives in this process: its snapshot, its numbered events, and who listens. */
export class LiveOperation {
  readonly id: string;
  readonly abort = new AbortController();
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #listeners = new Set<(event: OperationEvent) => void>();
  #snapshot: Operation;
  #events: OperationEvent[];
  #step = 0;
  #cut = false;

  constructor(operation: Operation, parts: { clock: Clock; journal: Journal; events?: readonly OperationEvent[] }) {
    this.id = operation.id;
    this.#snapshot = operation;
    this.#clock = parts.clock;
    this.#journal = parts.journal;
    this.#events = [...(parts.events ?? [])];
    this.#step = operation.steps.length;
  }

  get journal(): Journal {
    return this.#journal;
  }

  /** A copy; later changes do not show in it. */
  snapshot(): Operation {
    return structuredClone(this.#snapshot);
  }

  get ended(): boolean {
    return isEnded(this.#snapshot.state);
  }

  events(afterSeq: bigint): OperationEvent[] {
    return this.#events.filter((event) => event.seq > afterSeq);
  }

  listen(listener: (event: OperationEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Moves the whole operation; a move that the state machine does not allow is a bug. */
  move(state: OperationState, change: { error?: unknown; recovery?: string } = {}): void {
    const from = stateName(this.#snapshot.state);
    const to = stateName(state);
    if (from !== to && !mayMove(OPERATION_MOVES, from, to)) throw new Error(`operation ${this.id}: ${from} to ${to}`);
    const now = this.#clock.now();
    if (state === OperationState.OPERATION_STATE_RUNNING) this.#snapshot.startedAt ??= now;
    if (isEnded(state)) this.#snapshot.endedAt = now;
    if (change.error !== undefined) this.#snapshot.problem = toProblem(change.error);
    if (change.recovery !== undefined) this.#snapshot.recovery = change.recovery;
    this.#snapshot.state = state;
    this.announce();
  }

  /** Publishes the snapshot as it is. */
  announce(): void {
    this.emit({ $case: 'operation', value: this.snapshot() });
  }

  beginStep(name: string, title: string): OperationStep {
    const step: OperationStep = {
      index: this.#snapshot.steps.length + 1,
      name,
      title,
      state: OperationState.OPERATION_STATE_RUNNING,
      startedAt: this.#clock.now(),
      endedAt: undefined,
      detail: '',
      agentOperationId: '',
    };
    this.#snapshot.steps.push(step);
    this.#step = step.index;
    this.emit({ $case: 'stepChanged', value: { ...step } });
    return step;
  }

  endStep(step: OperationStep, state: OperationState, detail: string): void {
    step.state = state;
    step.endedAt = this.#clock.now();
    step.detail = detail;
    this.emit({ $case: 'stepChanged', value: { ...step } });
  }

  /** Steps that were under way when an earlier process died. */
  closeOpenSteps(detail: string): void {
    for (const step of this.#snapshot.steps) {
      if (step.state === OperationState.OPERATION_STATE_RUNNING) {
        this.endStep(step, OperationState.OPERATION_STATE_FAILED, detail);
      }
    }
  }

  result(name: string, value: string): void {
    this.#snapshot.results[name] = value;
  }

  warning(text: string): void {
    // Told before a crash, and once more by what goes on after it.
    if (this.#snapshot.warnings.includes(text)) return;
    this.#snapshot.warnings.push(text);
    this.emit({ $case: 'log', value: { stream: 'warning', text } });
  }

  upid(upid: string): void {
    if (this.#snapshot.upids.includes(upid)) return;
    this.#snapshot.upids.push(upid);
    this.announce();
  }

  emit(body: EventBody): void {
    if (this.#events.length >= MAX_EVENTS && (body.$case === 'log' || body.$case === 'bytes')) {
      if (this.#cut) return;
      this.#cut = true;
      this.#append({ $case: 'log', value: { stream: 'note', text: 'further output is left out' } });
      return;
    }
    this.#append(body);
  }

  #append(body: EventBody): void {
    const event: OperationEvent = {
      operationId: this.id,
      seq: (this.#events.at(-1)?.seq ?? 0n) + 1n,
      at: this.#clock.now(),
      step: this.#step,
      event: body,
    };
    this.#events.push(event);
    this.#journal.event(event);
    for (const listener of [...this.#listeners]) listener(event);
  }
}
