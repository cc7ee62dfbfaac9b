import { fromMs, toMs } from './columns.ts';
import { type Database, isRefusedByDisk } from './open.ts';

/** Outcome of a call that has not ended. */
const OPEN = 'RUNNING';
/** Outcome of a call that the controller did not live to see the end of. */
const UNKNOWN = 'UNKNOWN';

/** Who asked for what, and what came of it: "OK", "EXIT 3", an error code, or one of the two above. Never holds request bodies. */
export interface AuditEntry {
  readonly at: Date;
  /** operator:alice, agent:n-..., or the address of a caller without an identity. */
  readonly identity: string;
  readonly method: string;
  /** Name of the thing meant, if the request names one. */
  readonly target: string;
  readonly outcome: string;
}

export interface AuditRecord extends AuditEntry {
  readonly id: bigint;
}

export interface AuditQuery {
  readonly identity: string | undefined;
  readonly isRefusedOnly: boolean;
  readonly since: Date | undefined;
  readonly until: Date | undefined;
  readonly beforeId: bigint | undefined;
  readonly limit: number;
}

interface AuditRow {
  id: number;
  at_ms: number;
  identity: string;
  method: string;
  target: string;
  outcome: string;
}

/** One row per mutating call and per refusal. */
export class AuditStore {
  readonly #database: Database;
  readonly #insert;
  readonly #end;
  readonly #prune;

  constructor(database: Database) {
    this.#database = database;
    const { sql } = database;
    this.#insert = sql.prepare('INSERT INTO audit (at_ms, identity, method, target, outcome) VALUES (?, ?, ?, ?, ?)');
    this.#end = sql.prepare(`UPDATE audit SET outcome = ? WHERE id = ? AND outcome = '${OPEN}'`);
    this.#prune = sql.prepare('DELETE FROM audit WHERE at_ms < ?');
  }

  insert(entry: AuditEntry): void {
    this.#insert.run(toMs(entry.at), entry.identity, entry.method, entry.target, entry.outcome);
  }

  /** Before the call changes anything: what it did is never without a row, whatever happens to this process. */
  begin({ at, identity, method, target }: Omit<AuditEntry, 'outcome'>): bigint {
    const { lastInsertRowid } = this.#database.transaction(() =>
      this.#insert.run(toMs(at), identity, method, target, OPEN),
    );
    return BigInt(lastInsertRowid);
  }

  /** Where the disk does not take it the row stays open: what was done is done, and the caller shall hear of that. */
  end(id: bigint, outcome: string): void {
    try {
      this.#database.transaction(() => this.#end.run(outcome, id));
    } catch (error) {
      if (!isRefusedByDisk(this.#database, error)) throw error;
    }
  }

  /** At the start, when no call can be open: calls of a process that was killed. How many there are. */
  endInterrupted(): number {
    return this.#database.sql.prepare('UPDATE audit SET outcome = ? WHERE outcome = ?').run(UNKNOWN, OPEN).changes;
  }

  /** Newest first. */
  list(query: AuditQuery): AuditRecord[] {
    const { where, values } = conditions(query);
    return this.#database.sql
      .prepare<unknown[], AuditRow>(`SELECT * FROM audit ${where} ORDER BY id DESC LIMIT ?`)
      .all(...values, query.limit)
      .map((row) => ({
        id: BigInt(row.id),
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

/** SQL text is made of constants only; what the user typed goes into the values. */
function conditions(query: AuditQuery): { where: string; values: unknown[] } {
  const parts: string[] = [];
  const values: unknown[] = [];
  const add = (part: string, ...given: unknown[]): void => {
    parts.push(part);
    values.push(...given);
  };
  if (query.identity !== undefined) add('identity = ?', query.identity);
  if (query.isRefusedOnly) add("outcome NOT IN ('OK', ?)", OPEN);
  if (query.since !== undefined) add('at_ms >= ?', toMs(query.since));
  if (query.until !== undefined) add('at_ms < ?', toMs(query.until));
  if (query.beforeId !== undefined) add('id < ?', query.beforeId);
  return { where: parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`, values };
}
