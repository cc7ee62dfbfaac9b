import { fromMs, fromMsOrNull, toMs } from './columns.ts';
import type { Database } from './open.ts';

/** A join token as kept: the hash of its secret, never the secret. */
export interface TokenRecord {
  readonly hash: string;
  /** Undefined = any node may use it. */
  readonly nodeName: string | undefined;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly usedAt: Date | undefined;
  readonly actor: string;
}

interface TokenRow {
  hash: string;
  node_name: string | null;
  created_ms: number;
  expires_ms: number;
  used_ms: number | null;
  actor: string;
}

/** One-time join tokens. */
export class TokenStore {
  readonly #insert;
  readonly #find;
  readonly #use;
  readonly #prune;

  constructor(database: Database) {
    const { sql } = database;
    this.#insert = sql.prepare(
      'INSERT INTO token (hash, node_name, created_ms, expires_ms, actor) VALUES (?, ?, ?, ?, ?)',
    );
    this.#find = sql.prepare<[string], TokenRow>('SELECT * FROM token WHERE hash = ?');
    this.#use = sql.prepare('UPDATE token SET used_ms = ?, used_by = ? WHERE hash = ? AND used_ms IS NULL');
    this.#prune = sql.prepare('DELETE FROM token WHERE expires_ms < ?');
  }

  insert(token: Omit<TokenRecord, 'usedAt'>): void {
    this.#insert.run(token.hash, token.nodeName ?? null, toMs(token.createdAt), toMs(token.expiresAt), token.actor);
  }

  find(hash: string): TokenRecord | undefined {
    const row = this.#find.get(hash);
    if (row === undefined) return undefined;
    return {
      hash: row.hash,
      nodeName: row.node_name ?? undefined,
      createdAt: fromMs(row.created_ms),
      expiresAt: fromMs(row.expires_ms),
      usedAt: fromMsOrNull(row.used_ms),
      actor: row.actor,
    };
  }

  /** True for exactly one caller per token. */
  use(hash: string, at: Date, nodeUid: string): boolean {
    return this.#use.run(toMs(at), nodeUid, hash).changes === 1;
  }

  /** Removes tokens that expired before the time given; returns how many. */
  prune(expiredBefore: Date): number {
    return this.#prune.run(toMs(expiredBefore)).changes;
  }
}
