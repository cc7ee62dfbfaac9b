import { fromMs, toMs } from './columns.ts';
import type { Database } from './open.ts';

/** Who asked for what, and what came of it: "OK" or an error code. Never holds request bodies. */
export interface AuditEntry {
  readonly at: Date;
  /** operator:alice, agent:n-..., or the address of a caller without an identity. */
  readonly identity: string;
  readonly method: string;
  /** Name of the thing meant, if the request names one. */
  readonly target: string;
  readonly outcome: string;
}

interface AuditRow {
  at_ms: number;
  identity: string;
  method: string;
  target: string;
  outcome: string;
}

/** One row per mutating call. */
export class AuditStore {
  readonly #insert;
  readonly #latest;
  readonly #prune;

  constructor(database: Database) {
    const { sql } = database;
    this.#insert = sql.prepare('INSERT INTO audit (at_ms, identity, method, target, outcome) VALUES (?, ?, ?, ?, ?)');
    this.#latest = sql.prepare<[number], AuditRow>('SELECT * FROM audit ORDER BY id DESC LIMIT ?');
    this.#prune = sql.prepare('DELETE FROM audit WHERE at_ms < ?');
  }

  insert(entry: AuditEntry): void {
    this.#insert.run(toMs(entry.at), entry.identity, entry.method, entry.target, entry.outcome);
  }

  latest(limit: number): AuditEntry[] {
    return this.#latest.all(limit).map((row) => ({
      at: fromMs(row.at_ms),
      identity: row.identity,
      method: row.method,
      target: row.target,
      outcome: row.outcome,
    }));
  }

  prune(before: Date): number {
    return this.#prune.run(toMs(before)).changes;
  }
}
