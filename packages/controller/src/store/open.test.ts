import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from './migrate.ts';
import { openDatabase } from './open.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pxmgr-store-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('openDatabase', () => {
  it('creates a private file and keeps what was committed', () => {
    const path = join(folder, 'controller.db');
    const first = openDatabase(path);
    first.sql.prepare("INSERT INTO cursor VALUES ('a', 'b', 7)").run();
    first.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const second = openDatabase(path);
    expect(second.sql.prepare('SELECT sequence FROM cursor').pluck().get()).toBe(7);
    expect(second.sql.pragma('journal_mode', { simple: true })).toBe('wal');
    second.close();
  });

  it('refuses a file that is no database, without touching it', () => {
    const path = join(folder, 'controller.db');
    writeFileSync(path, 'this is not a database, but it is long enough to look at'.repeat(40));
    expect(() => openDatabase(path)).toThrow(expect.objectContaining({ code: 'PXM_DATABASE_CORRUPT' }));
  });

  it('refuses a file that was emptied: it is no new fleet', () => {
    const path = join(folder, 'controller.db');
    openDatabase(path).close();
    truncateSync(path);
    expect(() => openDatabase(path)).toThrow(expect.objectContaining({ code: 'PXM_DATABASE_CORRUPT' }));
    expect(statSync(path).size).toBe(0);
  });

  it('takes no half-made file of a killed start for a database', () => {
    const path = join(folder, 'controller.db');
    writeFileSync(`${path}.new`, '');
    const database = openDatabase(path);
    expect(database.check()).toBe('ok');
    database.close();
    expect(readdirSync(folder)).toEqual(['controller.db']);
  });

  it('refuses a database of a newer release', () => {
    const path = join(folder, 'controller.db');
    const database = openDatabase(path);
    database.sql.prepare("INSERT INTO migration VALUES (9999, 'future', 'x', 0)").run();
    database.close();
    expect(() => openDatabase(path)).toThrow(/newer release/);
  });

  it('leaves a sync out where it is told to, and nowhere else', () => {
    const path = join(folder, 'controller.db');
    const database = openDatabase(path);
    const mode = (): unknown => database.sql.pragma('synchronous', { simple: true });
    const [normal, full] = [1, 2];
    expect(database.unsynced(mode)).toBe(normal);
    expect(database.transaction(() => database.unsynced(mode))).toBe(full);
    expect(() =>
      database.unsynced(() => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(database.transaction(mode)).toBe(full);
    database.close();
  });

  it('joins nested transactions and rolls all of it back', () => {
    const database = openDatabase(':memory:');
    const insert = database.sql.prepare("INSERT INTO cursor VALUES (?, 'b', 1)");
    expect(() =>
      database.transaction(() => {
        insert.run('outer');
        database.transaction(() => insert.run('inner'));
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(database.sql.prepare('SELECT count(*) FROM cursor').pluck().get()).toBe(0);
    database.close();
  });
});

describe('migrate', () => {
  const one = { number: 1, name: 'one', sql: 'CREATE TABLE one (a INTEGER) STRICT' };

  it('refuses a migration whose text changed after it was applied', () => {
    const sql = new BetterSqlite(':memory:');
    migrate(sql, 'x', [one]);
    expect(() => migrate(sql, 'x', [{ ...one, sql: 'CREATE TABLE one (b INTEGER) STRICT' }])).toThrow(
      /not the one that was applied/,
    );
  });

  it('leaves nothing behind of a migration that fails half-way', () => {
    const sql = new BetterSqlite(':memory:');
    expect(() =>
      migrate(sql, 'x', [one, { number: 2, name: 'two', sql: 'CREATE TABLE two (a INTEGER) STRICT; SELECT broken' }]),
    ).toThrow();
    const tables = sql.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").pluck().all();
    expect(tables).toEqual(['migration', 'one']);
  });
});
