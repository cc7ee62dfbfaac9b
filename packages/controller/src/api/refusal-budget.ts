import type { Clock } from '@pxmgr/kit/clock';

/** Per caller: far more than a person or a program that asks politely is ever refused. */
const PER_MINUTE = 60;
const MINUTE_MS = 60_000;

interface Count {
  sinceMs: number;
  written: number;
}

/** Whoever is refused can ask again without end; what is written about it must not fill the disk. */
export class RefusalBudget {
  readonly #clock: Clock;
  readonly #counts = new Map<string, Count>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when this refusal is to be written; `isLast` when no other will be for a while. */
  take(identity: string): { readonly isWritten: boolean; readonly isLast: boolean } {
    const nowMs = this.#clock.monotonicMs();
    for (const [name, count] of this.#counts) if (nowMs - count.sinceMs >= MINUTE_MS) this.#counts.delete(name);
    const count = this.#counts.get(identity) ?? { sinceMs: nowMs, written: 0 };
    this.#counts.set(identity, count);
    count.written += 1;
    return { isWritten: count.written <= PER_MINUTE, isLast: count.written === PER_MINUTE };
  }
}
