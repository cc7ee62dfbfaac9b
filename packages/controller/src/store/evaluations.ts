import { Evaluation } from '@pxmgr/contract/controller';
import { hideValues } from '../domain/spec-secrets.ts';
import type { VmidOwner } from '../schedule/feasible.ts';
import { explainAgain } from '../schedule/replay.ts';
import type { FactStore } from './facts.ts';
import type { Database } from './open.ts';

interface EvaluationRow {
  body: Buffer;
  facts: number | null;
  vmid_owners: string;
}

/** A decision without the words for every node, and what is needed to find them again. */
export interface Decided {
  readonly head: Omit<Evaluation, 'candidates'>;
  /** Position in the log of facts at which it was decided. */
  readonly facts: number;
  readonly vmidOwners: readonly VmidOwner[];
}

const COLUMNS = 'e.body, e.facts, e.vmid_owners';

/**
 * Placement decisions with their reasons, as they were at that time. What is kept of a decision is the question and the
 * place in the log of facts; `find` asks the same question of the same facts again, so every node is explained in full.
 */
export class EvaluationStore {
  readonly #facts: FactStore;
  readonly #insert;
  readonly #get;
  readonly #byPlan;
  readonly #byOperation;
  readonly #prune;
  /** Its buffer has grown to the usual size. */
  #writer: ReturnType<typeof Evaluation.encode> | undefined;

  constructor({ sql }: Database, facts: FactStore) {
    this.#facts = facts;
    this.#insert = sql.prepare('INSERT INTO evaluation (id, at_ms, body, facts, vmid_owners) VALUES (?, ?, ?, ?, ?)');
    this.#get = sql.prepare<[string], EvaluationRow>(`SELECT ${COLUMNS} FROM evaluation e WHERE id = ?`);
    this.#byPlan = sql.prepare<[string], EvaluationRow>(
      `SELECT ${COLUMNS} FROM evaluation e WHERE id = (SELECT evaluation_id FROM plan WHERE id = ?)`,
    );
    this.#byOperation = sql.prepare<[string], EvaluationRow>(`
      SELECT ${COLUMNS} FROM operation o JOIN plan p ON p.id = o.plan_id JOIN evaluation e ON e.id = p.evaluation_id
      WHERE o.id = ?`);
    this.#prune = sql.prepare('DELETE FROM evaluation WHERE at_ms < ? AND id NOT IN (SELECT evaluation_id FROM plan)');
  }

  insert({ head, facts, vmidOwners }: Decided, atMs: number): void {
    const body = this.#encode(hideValues({ ...head, candidates: [] }));
    this.#insert.run(head.id, atMs, body, facts, vmidOwners.length === 0 ? '' : JSON.stringify(vmidOwners));
  }

  /** By its own id, or that of the plan (pl-) or operation (op-) it belongs to. */
  find(id: string): Evaluation | undefined {
    const query = id.startsWith('pl-') ? this.#byPlan : id.startsWith('op-') ? this.#byOperation : this.#get;
    const row = query.get(id);
    if (row === undefined) return undefined;
    const stored = Evaluation.decode(row.body);
    const field = row.facts === null ? undefined : this.#facts.at(row.facts);
    if (field === undefined) return stored;
    const vmidOwners = row.vmid_owners === '' ? [] : (JSON.parse(row.vmid_owners) as VmidOwner[]);
    return explainAgain(stored, { ...field, vmidOwners });
  }

  #encode(evaluation: Evaluation): Uint8Array {
    const known = this.#writer;
    this.#writer = undefined;
    const writer = Evaluation.encode(evaluation, known);
    const body = writer.finish();
    this.#writer = writer;
    return body;
  }

  /** Removes old ones that no plan names; returns how many. */
  prune(beforeMs: number): number {
    return this.#prune.run(beforeMs).changes;
  }
}
