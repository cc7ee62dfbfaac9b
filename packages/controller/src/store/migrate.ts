import { createHash } from 'node:crypto';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type BetterSqlite from 'better-sqlite3';

/** One step of the schema. Its text never changes after a release: the checksum is stored and compared. */
export interface Migration {
  /** 1, 2, ...; gaps are allowed, the order is by number. */
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/**
 * Applies what is missing, one transaction each. A number that was skipped before (two branches) is applied late.
 * Errors: PXM_DATABASE_CORRUPT when an applied migration differs from ours or is unknown to us (newer release).
 */
export function migrate(sql: BetterSqlite.Database, path: string, migrations: readonly Migration[]): void {
  sql.exec(
    'CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT',
  );
  const applied = new Map(readApplied(sql).map((row) => [row.number, row]));
  const known = new Map(migrations.map((migration) => [migration.number, migration]));
  if (known.size !== migrations.length) throw new Error('two migrations have the same number');
  for (const row of applied.values()) {
    const migration = known.get(row.number);
    if (migration === undefined)
      throw refuse(path, `it was made by a newer release (migration ${String(row.number)} ${row.name})`);
    if (checksum(migration) !== row.checksum)
      throw refuse(path, `migration ${String(row.number)} ${row.name} is not the one that was applied`);
  }
  const missing = migrations.filter((migration) => !applied.has(migration.number));
  for (const migration of [...missing].sort((a, b) => a.number - b.number)) apply(sql, migration);
}

interface AppliedRow {
  number: number;
  name: string;
  checksum: string;
}

function readApplied(sql: BetterSqlite.Database): AppliedRow[] {
  return sql.prepare<[], AppliedRow>('SELECT number, name, checksum FROM migration ORDER BY number').all();
}

function apply(sql: BetterSqlite.Database, migration: Migration): void {
  const insert = sql.prepare(
    "INSERT INTO migration (number, name, checksum, applied_ms) VALUES (?, ?, ?, unixepoch('subsec') * 1000)",
  );
  sql
    .transaction(() => {
      sql.exec(migration.sql);
      insert.run(migration.number, migration.name, checksum(migration));
    })
    .immediate();
}

function checksum(migration: Migration): string {
  return createHash('sha256').update(migration.sql).digest('hex').slice(0, 16);
}

function refuse(path: string, reason: string): PxmError {
  return new PxmError(
    'PXM_DATABASE_CORRUPT',
    { path, reason },
    { hint: 'use the release of pxmgr-controller that wrote it, or restore a backup' },
  );
}
