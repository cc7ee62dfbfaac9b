import type { Database } from './open.ts';

/** Vmids that a create failed on lately. */
export class VmidStore {
  readonly #fail;
  readonly #recent;
  readonly #prune;

  constructor({ sql }: Database) {
    this.#fail = sql.prepare(`
      INSERT INTO vmid_failure (vmid, at_ms) VALUES (?, ?) ON CONFLICT (vmid) DO UPDATE SET at_ms = excluded.at_ms`);
    this.#recent = sql.prepare<[number], number>('SELECT vmid FROM vmid_failure WHERE at_ms >= ?').pluck();
    this.#prune = sql.prepare('DELETE FROM vmid_failure WHERE at_ms < ?');
  }

  markFailed(vmid: number, atMs: number): void {
    this.#fail.run(vmid, atMs);
  }

  failedSince(sinceMs: number): Set<number> {
    return new Set(this.#recent.all(sinceMs));
  }

  prune(beforeMs: number): number {
    return this.#prune.run(beforeMs).changes;
  }
}
