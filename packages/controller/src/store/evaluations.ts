import { Evaluation } from '@pxmgr/contract/controller';
import type { Database } from './open.ts';

interface BodyRow {
  body: Buffer;
}

/** Placement decisions with their reasons, as they were at that time. */
export class EvaluationStore {
  readonly #insert;
  readonly #get;
  readonly #byPlan;
  readonly #byOperation;
  readonly #prune;

  constructor({ sql }: Database) {
    this.#insert = sql.prepare('INSERT INTO evaluation (id, at_ms, body) VALUES (?, ?, ?)');
    this.#get = sql.prepare<[string], BodyRow>('SELECT body FROM evaluation WHERE id = ?');
    this.#byPlan = sql.prepare<[string], BodyRow>(
      'SELECT body FROM evaluation WHERE id = (SELECT evaluation_id FROM plan WHERE id = ?)',
    );
    this.#byOperation = sql.prepare<[string], BodyRow>(`
      SELECT e.body FROM operation o JOIN plan p ON p.id = o.plan_id JOIN evaluation e ON e.id = p.evaluation_id
      WHERE o.id = ?`);
    this.#prune = sql.prepare('DELETE FROM evaluation WHERE at_ms < ? AND id NOT IN (SELECT evaluation_id FROM plan)');
  }

  insert(evaluation: Evaluation, atMs: number): void {
    this.#insert.run(evaluation.id, atMs, Evaluation.encode(evaluation).finish());
  }

  /** By its own id, or that of the plan (pl-) or operation (op-) it belongs to. */
  find(id: string): Evaluation | undefined {
    const query = id.startsWith('pl-') ? this.#byPlan : id.startsWith('op-') ? this.#byOperation : this.#get;
    const row = query.get(id);
    return row === undefined ? undefined : Evaluation.decode(row.body);
  }

  /** Removes old ones that no plan names; returns how many. */
  prune(beforeMs: number): number {
    return this.#prune.run(beforeMs).changes;
  }
}
