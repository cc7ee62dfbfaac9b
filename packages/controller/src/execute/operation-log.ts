/**
 * One operation's snapshot and events: each change is a row, an event and a wake-up, in one transaction. Only what nobody
 * could find out again is durable at once: that an order is about to be sent, and, in a transaction of the caller, how it
 * all ended. What an agent has done it tells again, and what was not sent yet is begun again.
 */
import { mayMove, OPERATION_MOVES, type OperationStateName } from '@pxmgr/contract';
import {
  type HostCommand,
  type Operation,
  type OperationEvent,
  OperationState,
  type OperationStep,
  type Problem,
} from '@pxmgr/contract/common';
import type { Plan } from '@pxmgr/contract/controller';
import type { Clock } from '@pxmgr/kit/clock';
import type { Records } from '../plan/records.ts';
import type { StepTrace } from '../store/operations.ts';
import type { WatchHub } from './watch-hub.ts';

export const STATE_OF = {
  queued: OperationState.OPERATION_STATE_QUEUED,
  running: OperationState.OPERATION_STATE_RUNNING,
  done: OperationState.OPERATION_STATE_DONE,
  failed: OperationState.OPERATION_STATE_FAILED,
  cancelled: OperationState.OPERATION_STATE_CANCELLED,
} as const satisfies Record<OperationStateName, OperationState>;

/** The operation of a plan before anything was done. */
export function newOperation(plan: Plan, id: string, at: Date): Operation {
  return {
    id,
    kind: 'plan.apply',
    state: STATE_OF.queued,
    title: plan.title,
    nodeUid: plan.nodeUid,
    nodeName: plan.nodeName,
    vmid: plan.vmid,
    idempotencyKey: plan.id,
    planId: plan.id,
    createdAt: at,
    startedAt: undefined,
    endedAt: undefined,
    problem: undefined,
    steps: plan.steps.map((step) => ({
      index: step.index,
      name: step.kind,
      title: step.title,
      state: STATE_OF.queued,
      startedAt: undefined,
      endedAt: undefined,
      detail: '',
      agentOperationId: '',
    })),
    upids: [],
    results: {},
    recovery: '',
    warnings: [],
  };
}

export interface LogParts {
  readonly records: Records;
  readonly hub: WatchHub;
  readonly clock: Clock;
}

type Body = NonNullable<OperationEvent['event']>;

export class OperationLog {
  readonly #parts: LogParts;
  #operation: Operation;
  #state: OperationStateName;

  constructor(parts: LogParts, operation: Operation, state: OperationStateName) {
    this.#parts = parts;
    this.#operation = operation;
    this.#state = state;
  }

  get operation(): Operation {
    return this.#operation;
  }

  get state(): OperationStateName {
    return this.#state;
  }

  step(index: number): OperationStep {
    const step = this.#operation.steps.find((one) => one.index === index);
    if (step === undefined) throw new Error(`operation ${this.#operation.id} has no step ${index}`);
    return step;
  }

  /** To the next state; a move to the present one only saves `change`. */
  move(state: OperationStateName, change: { problem?: Problem; warnings?: readonly string[] } = {}): void {
    if (state !== this.#state && !mayMove(OPERATION_MOVES, this.#state, state)) {
      throw new Error(`an operation cannot go from ${this.#state} to ${state}`);
    }
    const now = this.#parts.clock.now();
    const { problem = this.#operation.problem, warnings = [] } = change;
    this.#state = state;
    this.#operation = {
      ...this.#operation,
      state: STATE_OF[state],
      problem,
      warnings: [...this.#operation.warnings, ...warnings.filter((text) => !this.#operation.warnings.includes(text))],
      startedAt: this.#operation.startedAt ?? (state === 'queued' ? undefined : now),
      endedAt: OPERATION_MOVES[state].length === 0 ? now : undefined,
    };
    this.#write(0, { $case: 'operation', value: this.#operation });
  }

  moveStep(
    index: number,
    state: OperationStateName,
    change: { detail?: string; agentOperationId?: string } = {},
  ): void {
    const old = this.step(index);
    const now = this.#parts.clock.now();
    const isEnd = OPERATION_MOVES[state].length === 0;
    const step: OperationStep = {
      ...old,
      ...change,
      state: STATE_OF[state],
      startedAt: old.startedAt ?? (state === 'queued' ? undefined : now),
      endedAt: isEnd ? now : undefined,
    };
    this.#operation = {
      ...this.#operation,
      steps: this.#operation.steps.map((one) => (one.index === index ? step : one)),
    };
    this.#write(index, { $case: 'stepChanged', value: step });
  }

  /** A line of our own: stream "note" or "warning". */
  note(step: number, text: string, stream: 'note' | 'warning' = 'note'): void {
    this.#write(step, { $case: 'log', value: { stream, text } });
  }

  command(step: number, command: HostCommand): void {
    this.#write(step, {
      $case: 'command',
      value: { command, exitCode: 0, signal: '', durationMs: 0, finished: false },
    });
  }

  /** An event of the agent's operation together with the place up to which it was read. */
  mirror(trace: StepTrace, body: Body): void {
    this.#write(trace.step, body, trace);
  }

  /** What became of an order, and how far it was followed: whoever asks the agent again, by its key, hears the same. */
  heard(trace: StepTrace): void {
    const { records } = this.#parts;
    records.database.unsynced(() => {
      records.operations.putStep(this.#operation.id, trace);
    });
  }

  /** What the agent's operation brought: UPIDs, results, warnings. Saved with the next change. */
  absorb(agent: Operation): void {
    const { upids, warnings, results } = this.#operation;
    this.#operation = {
      ...this.#operation,
      upids: [...new Set([...upids, ...agent.upids])],
      warnings: [...new Set([...warnings, ...agent.warnings])],
      results: { ...results, ...agent.results },
    };
  }

  /** Durable when it returns: the order is about to be sent, or was refused. */
  trace(trace: StepTrace): void {
    const { records } = this.#parts;
    records.database.transaction(() => {
      records.operations.putStep(this.#operation.id, trace);
    });
  }

  #write(step: number, body: Body, trace?: StepTrace): void {
    const { records, hub, clock } = this.#parts;
    const { id } = this.#operation;
    records.database.unsynced(() => {
      if (trace !== undefined) records.operations.putStep(id, trace);
      if (body.$case === 'operation' || body.$case === 'stepChanged')
        records.operations.save(this.#operation, this.#state);
      records.operations.append({ operationId: id, at: clock.now(), step, event: body });
    });
    hub.bump(id);
  }
}
