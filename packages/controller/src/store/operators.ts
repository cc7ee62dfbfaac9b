import type { Role } from '@pxmgr/kit/rpc/identity';
import { fromMs, fromMsOrNull, toMs } from './columns.ts';
import type { Database } from './open.ts';

/** One certificate of an operator; its private key was never here. */
export interface OperatorRecord {
  /** Lower-case hex. */
  readonly serial: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | undefined;
  /** Who asked for it. */
  readonly createdBy: string;
}

interface OperatorRow {
  serial: string;
  name: string;
  role: Role;
  created_ms: number;
  expires_ms: number;
  revoked_ms: number | null;
  created_by: string;
}

/** Certificates of operators, revoked ones included. */
export class OperatorStore {
  readonly #list;
  readonly #insert;
  readonly #revoke;
  readonly #database: Database;

  constructor(database: Database) {
    const { sql } = database;
    this.#database = database;
    this.#list = sql.prepare<[], OperatorRow>('SELECT * FROM operator ORDER BY name, created_ms');
    this.#insert = sql.prepare(
      'INSERT INTO operator (serial, name, role, created_ms, expires_ms, created_by) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#revoke = sql.prepare('UPDATE operator SET revoked_ms = ? WHERE serial = ? AND revoked_ms IS NULL');
  }

  list(): OperatorRecord[] {
    return this.#list.all().map((row) => ({
      serial: row.serial,
      name: row.name,
      role: row.role,
      createdAt: fromMs(row.created_ms),
      expiresAt: fromMs(row.expires_ms),
      revokedAt: fromMsOrNull(row.revoked_ms),
      createdBy: row.created_by,
    }));
  }

  insert(record: Omit<OperatorRecord, 'revokedAt'>): void {
    const { serial, name, role, createdAt, expiresAt, createdBy } = record;
    this.#insert.run(serial, name, role, toMs(createdAt), toMs(expiresAt), createdBy);
  }

  /** All of them or none. */
  revoke(serials: readonly string[], at: Date): void {
    this.#database.transaction(() => {
      for (const serial of serials) this.#revoke.run(toMs(at), serial);
    });
  }
}
