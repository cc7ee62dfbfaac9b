import type { ChangeAction, ChangeDraft, ChangeQuery, ChangeRecord, FieldDiff } from '../domain/change.ts';
import { fromMs, toMs } from './columns.ts';
import type { Database } from './open.ts';

interface ChangeRow {
  id: number;
  observed_ms: number;
  recorded_ms: number;
  node_uid: string;
  node_name: string;
  kind: string;
  object_id: string;
  object_name: string;
  action: ChangeAction;
  upid: string;
  author: string;
  operation_id: string;
  fields: string;
  summary: string;
}

function toChange(row: ChangeRow): ChangeRecord {
  return {
    id: BigInt(row.id),
    observedAt: fromMs(row.observed_ms),
    recordedAt: fromMs(row.recorded_ms),
    nodeUid: row.node_uid,
    nodeName: row.node_name,
    kind: row.kind,
    objectId: row.object_id,
    objectName: row.object_name,
    action: row.action,
    upid: row.upid,
    author: row.author,
    operationId: row.operation_id,
    fields: JSON.parse(row.fields) as FieldDiff[],
    summary: row.summary,
  };
}

/** Agents name the operation of their own; people know the controller's, which its step belongs to. */
const SELECT = `
  SELECT change.*, coalesce(
    (SELECT step.operation_id FROM operation_step step WHERE step.agent_operation_id = change.operation_id AND change.operation_id <> ''),
    change.operation_id) AS operation_id
  FROM change`;

/** The history: recorded differences, newest first. */
export class ChangeStore {
  readonly #database: Database;
  readonly #insert;
  readonly #get;
  readonly #count;
  readonly #prune;

  constructor(database: Database) {
    this.#database = database;
    const { sql } = database;
    this.#insert = sql.prepare(`
      INSERT INTO change (observed_ms, recorded_ms, node_uid, node_name, kind, object_id, object_name, action, upid, author, operation_id, fields, summary)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#get = sql.prepare<[bigint], ChangeRow>(`${SELECT} WHERE id = ?`);
    this.#count = sql.prepare('SELECT count(*) FROM change').pluck();
    this.#prune = sql.prepare(
      'DELETE FROM change WHERE id IN (SELECT id FROM change WHERE recorded_ms < ? ORDER BY id LIMIT ?)',
    );
  }

  insert(change: ChangeDraft, recordedAt: Date): void {
    this.#insert.run(
      toMs(change.observedAt),
      toMs(recordedAt),
      change.nodeUid,
      change.nodeName,
      change.kind,
      change.objectId,
      change.objectName,
      change.action,
      change.upid,
      change.author,
      change.operationId,
      JSON.stringify(change.fields),
      change.summary,
    );
  }

  get(id: bigint): ChangeRecord | undefined {
    const row = this.#get.get(id);
    return row === undefined ? undefined : toChange(row);
  }

  list(query: ChangeQuery): ChangeRecord[] {
    const { where, values } = conditions(query);
    const text = `${SELECT} ${where} ORDER BY id DESC LIMIT ?`;
    return this.#database.sql
      .prepare<unknown[], ChangeRow>(text)
      .all(...values, query.limit)
      .map(toChange);
  }

  count(): number {
    return Number(this.#count.get());
  }

  /** Removes at most `limit` of the oldest rows; returns how many, so a caller can go on in small bites. */
  prune(recordedBefore: Date, limit: number): number {
    return this.#prune.run(toMs(recordedBefore), limit).changes;
  }
}

/** SQL text is made of constants only; what the user typed goes into the values. */
function conditions(query: ChangeQuery): { where: string; values: unknown[] } {
  const parts: string[] = [];
  const values: unknown[] = [];
  const add = (part: string, ...given: unknown[]): void => {
    parts.push(part);
    values.push(...given);
  };
  if (query.node !== undefined) add('(node_uid = ? OR node_name = ?)', query.node, query.node);
  if (query.kind !== undefined) add('kind = ?', query.kind);
  if (query.object !== undefined) add('(object_id = ? OR object_name = ?)', query.object, query.object);
  if (query.since !== undefined) add('observed_ms >= ?', toMs(query.since));
  if (query.until !== undefined) add('observed_ms < ?', toMs(query.until));
  if (query.beforeId !== undefined) add('id < ?', query.beforeId);
  return { where: parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`, values };
}
