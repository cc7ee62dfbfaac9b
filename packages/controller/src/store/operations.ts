import { hasEnded, type OperationStateName } from '@pxmgr/contract';
import { Operation, OperationEvent } from '@pxmgr/contract/common';
import type { Database } from './open.ts';

export type Way = 'forward' | 'undo';

/** An operation as kept: the snapshot callers see and what the executor needs to go on with it. */
export interface OperationRecord {
  readonly operation: Operation;
  readonly state: OperationStateName;
  readonly phase: Way;
  /** Who asked for the cancel; empty when nobody did. */
  readonly cancelActor: string;
  readonly lastSeq: number;
}

/** What was sent to the agent for one step. */
export interface StepTrace {
  readonly step: number;
  readonly way: Way;
  readonly attempt: number;
  readonly state: 'running' | 'done' | 'failed';
  /** Empty until the agent has answered. */
  readonly agentOperationId: string;
  /** Last event of the agent's operation that was mirrored. */
  readonly agentSeq: number;
}

interface OperationRow {
  state: OperationStateName;
  phase: Way;
  cancel_actor: string;
  last_seq: number;
  body: Buffer;
}

interface StepRow {
  step: number;
  way: Way;
  attempt: number;
  state: StepTrace['state'];
  agent_operation_id: string;
  agent_seq: number;
}

function toRecord(row: OperationRow): OperationRecord {
  const { state, phase } = row;
  return { operation: Operation.decode(row.body), state, phase, cancelActor: row.cancel_actor, lastSeq: row.last_seq };
}

/** Operations of the controller, their steps and their events. */
export class OperationStore {
  readonly #statements;

  constructor({ sql }: Database) {
    this.#statements = {
      insert: sql.prepare(`
        INSERT INTO operation (id, plan_id, state, created_ms, ended_ms, phase, cancel_actor, last_seq, body)
        VALUES (?, ?, ?, ?, 0, 'forward', '', 0, ?)`),
      save: sql.prepare('UPDATE operation SET state = ?, ended_ms = ?, body = ? WHERE id = ?'),
      phase: sql.prepare('UPDATE operation SET phase = ? WHERE id = ?'),
      cancel: sql.prepare("UPDATE operation SET cancel_actor = ? WHERE id = ? AND cancel_actor = ''"),
      get: sql.prepare<[string], OperationRow>('SELECT * FROM operation WHERE id = ?'),
      byPlan: sql.prepare<[string], OperationRow>('SELECT * FROM operation WHERE plan_id = ?'),
      open: sql
        .prepare<[], string>("SELECT id FROM operation WHERE state IN ('queued', 'running') ORDER BY created_ms, id")
        .pluck(),
      list: sql.prepare<[number], OperationRow>('SELECT * FROM operation ORDER BY created_ms DESC, id DESC LIMIT ?'),
      listOpen: sql.prepare<[number], OperationRow>(
        "SELECT * FROM operation WHERE state IN ('queued', 'running') ORDER BY created_ms DESC, id DESC LIMIT ?",
      ),
      failed: sql.prepare<[number, number], OperationRow>(
        "SELECT * FROM operation WHERE state = 'failed' AND ended_ms >= ? ORDER BY ended_ms DESC LIMIT ?",
      ),
      step: sql.prepare<[string, number, Way], StepRow>(
        'SELECT * FROM operation_step WHERE operation_id = ? AND step = ? AND way = ?',
      ),
      putStep: sql.prepare(`
        INSERT INTO operation_step (operation_id, step, way, attempt, state, agent_operation_id, agent_seq)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (operation_id, step, way) DO UPDATE SET attempt = excluded.attempt, state = excluded.state,
          agent_operation_id = excluded.agent_operation_id, agent_seq = excluded.agent_seq`),
      seq: sql
        .prepare<[string], number>('UPDATE operation SET last_seq = last_seq + 1 WHERE id = ? RETURNING last_seq')
        .pluck(),
      event: sql.prepare('INSERT INTO operation_event (operation_id, seq, body) VALUES (?, ?, ?)'),
      events: sql
        .prepare<[string, bigint, number], Buffer>(
          'SELECT body FROM operation_event WHERE operation_id = ? AND seq > ? ORDER BY seq LIMIT ?',
        )
        .pluck(),
      prune: sql.prepare("DELETE FROM operation WHERE state NOT IN ('queued', 'running') AND ended_ms < ?"),
    };
  }

  insert(operation: Operation, state: OperationStateName): void {
    const created = operation.createdAt?.getTime() ?? 0;
    this.#statements.insert.run(operation.id, operation.planId, state, created, Operation.encode(operation).finish());
  }

  save(operation: Operation, state: OperationStateName): void {
    const ended = hasEnded(state) ? (operation.endedAt?.getTime() ?? 0) : 0;
    this.#statements.save.run(state, ended, Operation.encode(operation).finish(), operation.id);
  }

  setPhase(id: string, phase: Way): void {
    this.#statements.phase.run(phase, id);
  }

  /** The first who asks is remembered. */
  requestCancel(id: string, actor: string): void {
    this.#statements.cancel.run(actor, id);
  }

  get(id: string): OperationRecord | undefined {
    const row = this.#statements.get.get(id);
    return row === undefined ? undefined : toRecord(row);
  }

  byPlan(planId: string): OperationRecord | undefined {
    const row = this.#statements.byPlan.get(planId);
    return row === undefined ? undefined : toRecord(row);
  }

  /** Ids of the operations that have not ended, oldest first. */
  open(): string[] {
    return this.#statements.open.all();
  }

  /** Newest first. */
  list(options: { activeOnly: boolean; limit: number }): Operation[] {
    const query = options.activeOnly ? this.#statements.listOpen : this.#statements.list;
    return query.all(options.limit).map((row) => toRecord(row).operation);
  }

  /** Newest first. */
  failedSince(endedMs: number, limit: number): Operation[] {
    return this.#statements.failed.all(endedMs, limit).map((row) => toRecord(row).operation);
  }

  step(id: string, step: number, way: Way): StepTrace | undefined {
    const row = this.#statements.step.get(id, step, way);
    if (row === undefined) return undefined;
    const { attempt, state } = row;
    return { step, way, attempt, state, agentOperationId: row.agent_operation_id, agentSeq: row.agent_seq };
  }

  putStep(id: string, trace: StepTrace): void {
    const { step, way, attempt, state, agentOperationId, agentSeq } = trace;
    this.#statements.putStep.run(id, step, way, attempt, state, agentOperationId, agentSeq);
  }

  /** Gives the event the operation's next number and keeps it. */
  append(event: Omit<OperationEvent, 'seq'>): void {
    const seq = this.#statements.seq.get(event.operationId);
    if (seq === undefined) throw new Error(`no operation ${event.operationId}`);
    const body = OperationEvent.encode({ ...event, seq: BigInt(seq) }).finish();
    this.#statements.event.run(event.operationId, seq, body);
  }

  events(id: string, afterSeq: bigint, limit: number): OperationEvent[] {
    return this.#statements.events.all(id, afterSeq, limit).map((body) => OperationEvent.decode(body));
  }

  /** Removes ended ones with their steps and events; returns how many. */
  prune(endedBeforeMs: number): number {
    return this.#statements.prune.run(endedBeforeMs).changes;
  }
}
