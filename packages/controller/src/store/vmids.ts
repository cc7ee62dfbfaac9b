import type { Database } from './open.ts';

const NONE: ReadonlySet<number> = new Set();

/** Vmids that a create failed on lately. */
export class VmidStore {
  readonly #fail;
  readonly #recent;
  readonly #prune;
  /** No failure is younger; spares the question in the usual case that there is none. */
  #newestMs: number;

  constructor({ sql }: Database) {
    this.#fail = sql.prepare(`
      INSERT INTO vmid_failure (vmid, at_ms) VALUES (?, ?) ON CONFLICT (vmid) DO UPDATE SET at_ms = excluded.at_ms`);
    this.#recent = sql
      .prepare<[number, number], number>('SELECT vmid FROM vmid_failure WHERE at_ms BETWEEN ? AND ?')
      .pluck();
    this.#newestMs = sql.prepare<[], number | null>('SELECT max(at_ms) FROM vmid_failure').pluck().get() ?? 0;
    this.#prune = sql.prepare('DELETE FROM vmid_failure WHERE at_ms < ?');
  }

  markFailed(vmid: number, atMs: number): void {
    this.#fail.run(vmid, atMs);
    this.#newestMs = Math.max(this.#newestMs, atMs);
  }

  /** A time after `untilMs` is of a clock that has been set back since, and says nothing. */
  failedBetween(sinceMs: number, untilMs: number): ReadonlySet<number> {
    if (this.#newestMs < sinceMs) return NONE;
    return new Set(this.#recent.all(sinceMs, untilMs));
  }

  prune(beforeMs: number): number {
    return this.#prune.run(beforeMs).changes;
  }
}
