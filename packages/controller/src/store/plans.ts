import { mayMove, PLAN_MOVES, type PlanStateName } from '@pxmgr/contract';
import { Plan, PlanActionRequest } from '@pxmgr/contract/controller';
import type { Action, PlanRecord } from '../domain/plan.ts';
import type { Database } from './open.ts';

interface PlanRow {
  generation: number;
  state: PlanStateName;
  body: Buffer;
  action: Buffer;
}

/** Plans. The body never changes; generation and state are columns and are put into what is read. */
export class PlanStore {
  readonly #insert;
  readonly #get;
  readonly #move;
  readonly #expired;
  readonly #prune;
  /** Its buffer has grown to the usual size. */
  #writer: ReturnType<typeof Plan.encode> | undefined;

  constructor({ sql }: Database) {
    this.#insert = sql.prepare(`
      INSERT INTO plan (id, state, created_ms, expires_ms, evaluation_id, reservation_id, body, action)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#get = sql.prepare<[string], PlanRow>('SELECT generation, state, body, action FROM plan WHERE id = ?');
    this.#move = sql.prepare('UPDATE plan SET state = ? WHERE id = ? AND state = ?');
    this.#expired = sql
      .prepare<[number], string>("SELECT id FROM plan WHERE state = 'draft' AND expires_ms <= ?")
      .pluck();
    this.#prune = sql.prepare(`
      DELETE FROM plan WHERE created_ms < ? AND state NOT IN ('draft', 'applied')
        AND id NOT IN (SELECT plan_id FROM operation)`);
  }

  /** Gives the plan its generation and returns it with that. */
  insert({ plan, action }: PlanRecord): PlanRecord {
    const { lastInsertRowid } = this.#insert.run(
      plan.id,
      plan.state,
      plan.createdAt?.getTime() ?? 0,
      plan.expiresAt?.getTime() ?? 0,
      plan.evaluationId,
      plan.reservationId,
      this.#encode(plan),
      encodeAction(action),
    );
    return { plan: { ...plan, generation: BigInt(lastInsertRowid) }, action };
  }

  get(id: string): PlanRecord | undefined {
    const row = this.#get.get(id);
    if (row === undefined) return undefined;
    const plan = { ...Plan.decode(row.body), generation: BigInt(row.generation), state: row.state };
    return { plan, action: PlanActionRequest.decode(row.action).action };
  }

  /** False when the plan is no longer in state `from`. */
  move(id: string, from: PlanStateName, to: PlanStateName): boolean {
    if (!mayMove(PLAN_MOVES, from, to)) throw new Error(`a plan cannot go from ${from} to ${to}`);
    return this.#move.run(to, id, from).changes === 1;
  }

  /** Drafts whose time is over. */
  expiredDrafts(nowMs: number): string[] {
    return this.#expired.all(nowMs);
  }

  #encode(plan: Plan): Uint8Array {
    const known = this.#writer;
    this.#writer = undefined;
    const writer = Plan.encode(plan, known);
    const body = writer.finish();
    this.#writer = writer;
    return body;
  }

  /** Removes ended plans without an operation; returns how many. */
  prune(beforeMs: number): number {
    return this.#prune.run(beforeMs).changes;
  }
}

function encodeAction(action: Action | undefined): Uint8Array {
  return PlanActionRequest.encode({ action, dryRun: false, showCommands: false }).finish();
}
