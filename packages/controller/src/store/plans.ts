import { mayMove, PLAN_MOVES, type PlanStateName } from '@pxmgr/contract';
import { ContainerSpec } from '@pxmgr/contract/common';
import { Plan, PlanActionRequest } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Action, PlanRecord } from '../domain/plan.ts';
import { hideValues, withEnvironment } from '../domain/spec-secrets.ts';
import type { Database } from './open.ts';
import type { Seal } from './seal.ts';

interface PlanRow {
  generation: number;
  state: PlanStateName;
  body: Buffer;
  action: Buffer;
  /** The environment with its values; empty when there is none, and after the end. */
  sealed: Buffer;
}

const NOTHING = Buffer.alloc(0);

/**
 * Plans. The body never changes; generation and state are columns and are put into what is read. Values of the
 * environment are not in the body but sealed, and are forgotten when the plan has ended.
 */
export class PlanStore {
  readonly #insert;
  readonly #get;
  readonly #move;
  readonly #drafts;
  readonly #expired;
  readonly #prune;
  /** Its buffer has grown to the usual size. */
  #writer: ReturnType<typeof Plan.encode> | undefined;
  readonly #forget;
  readonly #seal: Seal;
  readonly #path: string;

  constructor({ sql, path }: Database, seal: Seal) {
    this.#seal = seal;
    this.#path = path;
    this.#insert = sql.prepare(`
      INSERT INTO plan (id, state, created_ms, expires_ms, evaluation_id, reservation_id, body, action, sealed)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#get = sql.prepare<[string], PlanRow>('SELECT generation, state, body, action, sealed FROM plan WHERE id = ?');
    this.#move = sql.prepare('UPDATE plan SET state = ? WHERE id = ? AND state = ?');
    this.#forget = sql.prepare("UPDATE plan SET sealed = x'' WHERE id = ?");
    this.#drafts = sql.prepare<[], string>("SELECT id FROM plan WHERE state = 'draft'").pluck();
    this.#expired = sql
      .prepare<[{ now: number }], string>(`
        SELECT id FROM plan
        WHERE state = 'draft' AND (expires_ms <= @now OR created_ms - (expires_ms - created_ms) > @now)`)
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
      this.#encode(hideValues(plan)),
      encodeAction(action),
      this.#sealed(plan.spec),
    );
    return { plan: { ...plan, generation: BigInt(lastInsertRowid) }, action };
  }

  get(id: string): PlanRecord | undefined {
    const row = this.#get.get(id);
    if (row === undefined) return undefined;
    const stored = { ...Plan.decode(row.body), generation: BigInt(row.generation), state: row.state };
    const plan = row.sealed.length === 0 ? stored : { ...stored, spec: this.#unsealed(id, stored.spec, row.sealed) };
    return { plan, action: PlanActionRequest.decode(row.action).action };
  }

  /** False when the plan is no longer in state `from`. */
  move(id: string, from: PlanStateName, to: PlanStateName): boolean {
    if (!mayMove(PLAN_MOVES, from, to)) throw new Error(`a plan cannot go from ${from} to ${to}`);
    const isMoved = this.#move.run(to, id, from).changes === 1;
    if (isMoved && to !== 'applied') this.#forget.run(id);
    return isMoved;
  }

  drafts(): string[] {
    return this.#drafts.all();
  }

  /** Drafts whose time is over. So is that of one from further ahead than it may live: the clock was set back since. */
  expiredDrafts(nowMs: number): string[] {
    return this.#expired.all({ now: nowMs });
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

  #sealed(spec: ContainerSpec | undefined): Buffer {
    if (spec === undefined || spec.env.length === 0) return NOTHING;
    const { env } = spec;
    return this.#seal.close(JSON.stringify(ContainerSpec.toJSON(ContainerSpec.fromPartial({ env }))));
  }

  #unsealed(id: string, spec: ContainerSpec | undefined, sealed: Buffer): ContainerSpec {
    const text = this.#seal.open(sealed);
    if (text === undefined) {
      const reason = `the environment of plan ${id} was sealed with another key`;
      throw new PxmError('PXM_DATABASE_CORRUPT', { path: this.#path, reason });
    }
    const { env } = ContainerSpec.fromJSON(JSON.parse(text) as unknown);
    return withEnvironment(spec ?? ContainerSpec.fromPartial({}), env);
  }
}

function encodeAction(action: Action | undefined): Uint8Array {
  return PlanActionRequest.encode({ action, dryRun: false, showCommands: false }).finish();
}
