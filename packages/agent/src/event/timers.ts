/** When each kind is due for a look of its own. */
import type { InventoryKind } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';

export type TimerName = InventoryKind | 'all';

const PERIOD_MS: Readonly<Record<TimerName, number>> = {
  all: 600_000,
  node: 60_000,
  // Addresses change without any event.
  container: 30_000,
  vm: 600_000,
  storage: 60_000,
  dataset: 60_000,
  template: 300_000,
  image: 600_000,
  gpu: 30_000,
  usb: 10_000,
  network: 30_000,
};

/** After a task: at once, and once more when ZFS has written its transaction group (about 5 s) and its figures are right. */
const SOON_MS = [500, 7_000] as const;

export class Timers {
  readonly #clock: Clock;
  readonly #dueMs = new Map<TimerName, number>();
  readonly #extraMs = new Map<TimerName, number[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
    const nowMs = clock.monotonicMs();
    for (const name of Object.keys(PERIOD_MS) as TimerName[]) this.#dueMs.set(name, nowMs + PERIOD_MS[name]);
    this.#dueMs.set('all', nowMs);
  }

  /** Asking again puts off only the last look: otherwise a folder that is written to all the time is never looked at. */
  soon(kinds: readonly InventoryKind[]): void {
    const nowMs = this.#clock.monotonicMs();
    const [first, last] = [nowMs + SOON_MS[0], nowMs + SOON_MS[1]];
    for (const kind of kinds) this.#extraMs.set(kind, [Math.min(first, this.#extraMs.get(kind)?.[0] ?? first), last]);
  }

  /** What is due now; each is due again after its period. */
  due(): Set<TimerName> {
    const nowMs = this.#clock.monotonicMs();
    const found = new Set<TimerName>();
    for (const [name, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) continue;
      found.add(name);
      this.#dueMs.set(name, nowMs + PERIOD_MS[name]);
    }
    for (const [name, times] of this.#extraMs) {
      const left = times.filter((time) => time > nowMs);
      if (left.length < times.length) found.add(name);
      if (left.length === 0) this.#extraMs.delete(name);
      else this.#extraMs.set(name, left);
    }
    return found;
  }
}
