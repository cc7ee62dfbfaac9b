/**
 * store/: SQLite, and the only room that knows SQL. One file per noun with prepared statements; rows never leave it,
 * domain values do. Synchronous: a caller that needs several writes to stand or fall together wraps them in
 * `Database.transaction`. May import domain and kit; never knows NATS, gRPC or the clock.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import BetterSqlite from 'better-sqlite3';
import { migrate } from './migrate.ts';
import { MIGRATIONS } from './migrations/all.ts';

/** The open database. Repositories prepare on `sql`; everybody else only passes it on. */
export interface Database {
  readonly sql: BetterSqlite.Database;
  readonly path: string;
  /**
   * Runs `work` in one immediate transaction; nested calls join the outer one. Rolled back when it throws. Errors:
   * PXM_DISK_FULL, PXM_DISK_FAILED, besides those of `work`.
   */
  transaction<T>(work: () => T): T;
  /**
   * A transaction that a power cut may take back: for what can be found out or done once more. Nothing later stays without
   * it: the next `transaction` makes it durable too. The death of this process takes nothing back. Inside a transaction
   * it is part of that one.
   */
  unsynced<T>(work: () => T): T;
  /** Inside a transaction: what `work` wrote is taken back when it throws; the rest of the transaction stays. */
  part<T>(work: () => T): T;
  /** Differs from an earlier answer when memory may be ahead of the rows or behind: a rollback here, a commit elsewhere. */
  epoch(): string;
  /** Why the disk takes nothing; undefined when the last change became durable. */
  failure(): PxmError | undefined;
  /** Pages in use, in bytes. */
  sizeBytes(): number;
  /** "ok", or what is wrong with the file. */
  check(): string;
  /** Folds the write-ahead log back and closes. */
  close(): void;
}

/**
 * Opens (and creates, mode 0600) the database, checks it and brings its schema up to date. `:memory:` for tests.
 * Errors: PXM_DATABASE_CORRUPT when it is damaged, no database, or made by a newer release.
 */
export function openDatabase(path: string): Database {
  const sql = openFile(path);
  try {
    requireContent(path);
    // Each commit must survive a power cut: "accepted" means durable (a plan, a reservation), so FULL, not NORMAL.
    sql.pragma('journal_mode = WAL');
    sql.pragma('synchronous = FULL');
    sql.pragma('foreign_keys = ON');
    // 16 MiB of log before it is folded back: under load the same pages are written again and again.
    sql.pragma('wal_autocheckpoint = 4096');
    sql.pragma('cache_size = -8192');
    sql.pragma('busy_timeout = 5000');
    checkIntegrity(sql, path);
    migrate(sql, path, MIGRATIONS);
    return wrap(sql, path);
  } catch (error) {
    sql.close();
    throw asCorrupt(error, path);
  }
}

function openFile(path: string): BetterSqlite.Database {
  try {
    if (path !== ':memory:' && !existsSync(path)) makeFile(path);
    return new BetterSqlite(path);
  } catch (error) {
    throw new PxmError('PXM_DATABASE_CORRUPT', { path, reason: reasonOf(error) }, { cause: error });
  }
}

/**
 * Under another name until its schema is whole: SQLite takes an empty file for a new database, and so a file that was
 * emptied by a fault would come up as a fleet without nodes. Under the final name there is never one.
 */
function makeFile(path: string): void {
  const fresh = `${path}.new`;
  for (const suffix of ['', '-journal']) rmSync(`${fresh}${suffix}`, { force: true });
  const sql = new BetterSqlite(fresh);
  try {
    chmodSync(fresh, 0o600);
    migrate(sql, path, MIGRATIONS);
  } finally {
    sql.close();
  }
  // A log that outlived its database belongs to no other.
  for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
  renameSync(fresh, path);
  syncFolderNow(dirname(path));
}

function requireContent(path: string): void {
  if (path === ':memory:' || statSync(path).size > 0) return;
  throw new PxmError('PXM_DATABASE_CORRUPT', { path, reason: 'the file is empty' });
}

function syncFolderNow(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function checkIntegrity(sql: BetterSqlite.Database, path: string): void {
  const answer: unknown = sql.pragma('quick_check(1)', { simple: true });
  if (answer !== 'ok') throw new PxmError('PXM_DATABASE_CORRUPT', { path, reason: String(answer) });
}

function asCorrupt(error: unknown, path: string): unknown {
  const isDamage = error instanceof BetterSqlite.SqliteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
  return isDamage ? new PxmError('PXM_DATABASE_CORRUPT', { path, reason: error.message }, { cause: error }) : error;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What SQLite says about the disk; IOERR_SHMSIZE: the index of the log could not grow. Undefined for anything else. */
function refusal(error: unknown, path: string): PxmError | undefined {
  if (!(error instanceof BetterSqlite.SqliteError) || !/^SQLITE_(?:FULL|IOERR)/.test(error.code)) return undefined;
  const isFull = error.code === 'SQLITE_FULL' || error.code === 'SQLITE_IOERR_SHMSIZE';
  return new PxmError(isFull ? 'PXM_DISK_FULL' : 'PXM_DISK_FAILED', { path }, { cause: error });
}

/** The controller's own disk takes nothing; the same words about a node come from its agent. */
export function isRefusedByDisk({ path }: Database, error: unknown): boolean {
  const isMeant = isPxmError(error, 'PXM_DISK_FULL') || isPxmError(error, 'PXM_DISK_FAILED');
  return isMeant && error.fields['path'] === path;
}

/** Whether the disk took the last change. */
class Disk {
  failure: PxmError | undefined;
  readonly #path: string;
  readonly #changes;

  constructor(sql: BetterSqlite.Database, path: string) {
    this.#path = path;
    this.#changes = sql.prepare<[], number>('SELECT total_changes()').pluck();
  }

  watch<T>(work: () => T): T {
    try {
      const before = this.failure === undefined ? 0 : this.#changes.get();
      const result = work();
      // What wrote nothing proves nothing.
      if (this.failure !== undefined && this.#changes.get() !== before) this.failure = undefined;
      return result;
    } catch (error) {
      const failure = refusal(error, this.#path);
      if (failure === undefined) throw error;
      this.failure = failure;
      throw failure;
    }
  }
}

/** With a write-ahead log NORMAL only leaves out the sync of the commit; that of a later one is of the whole log. */
function withoutSync<T>(sql: BetterSqlite.Database, work: () => T): T {
  sql.pragma('synchronous = NORMAL');
  try {
    return work();
  } finally {
    sql.pragma('synchronous = FULL');
  }
}

function wrap(sql: BetterSqlite.Database, path: string): Database {
  const begin = sql.prepare('SAVEPOINT part');
  const release = sql.prepare('RELEASE part');
  const back = sql.prepare('ROLLBACK TO part');
  const version = sql.prepare<[], number>('PRAGMA data_version').pluck();
  const disk = new Disk(sql, path);
  let rollbacks = 0;
  // Inside a transaction nobody else can commit.
  let versionInside: number | undefined;
  const counted = <T>(work: () => T, undo?: () => void): T => {
    try {
      return work();
    } catch (error) {
      rollbacks += 1;
      undo?.();
      throw error;
    }
  };
  const transaction = <T>(work: () => T): T => {
    if (sql.inTransaction) return work();
    const inside = sql.transaction(() => {
      versionInside = version.get();
      return work();
    });
    try {
      return disk.watch(() => counted(() => inside.immediate()));
    } finally {
      versionInside = undefined;
    }
  };
  return {
    sql,
    path,
    transaction,
    unsynced: (work) => (sql.inTransaction ? work() : withoutSync(sql, () => transaction(work))),
    part: (work) => {
      begin.run();
      const undo = (): void => {
        if (!sql.inTransaction) return;
        back.run();
        release.run();
      };
      const result = counted(work, undo);
      release.run();
      return result;
    },
    failure: () => disk.failure,
    epoch: () => `${String(versionInside ?? version.get())}/${String(rollbacks)}`,
    sizeBytes: () =>
      Number(sql.pragma('page_count', { simple: true })) * Number(sql.pragma('page_size', { simple: true })),
    check: () => String(sql.pragma('quick_check(1)', { simple: true })),
    close: () => {
      if (!sql.open) return;
      sql.pragma('wal_checkpoint(TRUNCATE)');
      sql.close();
    },
  };
}
