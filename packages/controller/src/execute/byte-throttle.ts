import type { ByteProgress } from '@pxmgr/contract/common';
import type { Clock } from '@pxmgr/kit/clock';

const INTERVAL_MS = 500;

/** Lets progress figures through twice a second per label, and always the last one: each kept event costs a row. */
export class ByteThrottle {
  readonly #clock: Clock;
  readonly #last = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  admits({ label, done, total }: ByteProgress): boolean {
    const now = this.#clock.monotonicMs();
    const last = this.#last.get(label);
    const isEnd = total > 0n && done >= total;
    if (!isEnd && last !== undefined && now - last < INTERVAL_MS) return false;
    this.#last.set(label, now);
    return true;
  }
}
