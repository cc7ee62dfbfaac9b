import type { TokenRecord, TokenUser } from '../domain/token.ts';
import { fromMs, fromMsOrNull, toMs } from './columns.ts';
import type { Database } from './open.ts';

interface TokenRow {
  hash: string;
  node_name: string | null;
  created_ms: number;
  expires_ms: number;
  used_ms: number | null;
  used_by: string | null;
  used_key: string | null;
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
    this.#use = sql.prepare(`
      UPDATE token SET used_ms = coalesce(used_ms, @at), used_by = @nodeUid, used_key = @key
      WHERE hash = @hash AND (used_ms IS NULL OR (used_by = @nodeUid AND used_key = @key))`);
    this.#prune = sql.prepare('DELETE FROM token WHERE expires_ms < ?');
  }

  insert(token: Omit<TokenRecord, 'usedAt' | 'usedBy'>): void {
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
      usedBy: row.used_by === null ? undefined : { nodeUid: row.used_by, key: row.used_key ?? '' },
      actor: row.actor,
    };
  }

  /** True for exactly one user per token, as often as that one asks. */
  use(hash: string, at: Date, user: TokenUser): boolean {
    return this.#use.run({ at: toMs(at), hash, nodeUid: user.nodeUid, key: user.key }).changes === 1;
  }

  /** Removes tokens that expired before the time given; returns how many. */
  prune(expiredBefore: Date): number {
    return this.#prune.run(toMs(expiredBefore)).changes;
  }
}
