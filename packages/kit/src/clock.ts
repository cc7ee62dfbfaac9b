/**
 * The clock door: the only place where time and randomness enter. Code that needs either takes a `Clock` or an
 * `IdSource`; tests hand in `FakeClock` and `createSequentialIds()` and move time by hand. Nothing here reads files or logs.
 */
import { randomBytes } from 'node:crypto';
import { abortReason } from './sync/abort.ts';

/** Wall time, monotonic time and waiting. `sleep` rejects with the signal's reason when it is aborted. */
export interface Clock {
  now(): Date;
  /** Milliseconds that never go back; only differences mean anything. */
  monotonicMs(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Fresh ids with the prefixes users see: `op-`, `pl-`, `ev-`, `rs-` and 26 characters, sortable by time. */
export interface IdSource {
  operationId(): string;
  planId(): string;
  evaluationId(): string;
  reservationId(): string;
  /** 32 lower-case hex characters; identity of a guest for its whole life. */
  guestUid(): string;
  /** 32 lower-case hex characters as in a W3C traceparent. */
  traceId(): string;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(abortReason(signal));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until `advance` moves it; sleepers wake in the order of their due times. */
export class FakeClock implements Clock {
  #nowMs: number;
  #elapsedMs = 0;
  #sleepers: Sleeper[] = [];

  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    this.#nowMs = start.getTime();
  }

  now(): Date {
    return new Date(this.#nowMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  /** How many callers wait now; lets a test know that the code under test has reached its sleep. */
  get waiting(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(abortReason(signal));
      };
      const sleeper: Sleeper = {
        dueMs: this.#elapsedMs + ms,
        wake: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Moves time; between two wake-ups pending promise callbacks run, so chained sleeps work. */
  async advance(ms: number): Promise<void> {
    const target = this.#elapsedMs + ms;
    for (;;) {
      const next = this.#sleepers.filter((sleeper) => sleeper.dueMs <= target).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next);
      this.#moveTo(Math.max(next.dueMs, this.#elapsedMs));
      next.wake();
      await settle();
    }
    this.#moveTo(target);
    await settle();
  }

  /** Steps the wall clock only, as an NTP correction does. */
  stepWall(ms: number): void {
    this.#nowMs += ms;
  }

  #moveTo(elapsedMs: number): void {
    this.#nowMs += elapsedMs - this.#elapsedMs;
    this.#elapsedMs = elapsedMs;
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const SORTABLE = '0123456789abcdefghjkmnpqrstvwxyz';

/** One call of the system's source for many ids; no byte is given out twice. */
const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let used = 0;

/** Where in `pool` that many fresh bytes begin. */
function takeFresh(count: number): number {
  if (used + count > pool.length) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  used += count;
  return used - count;
}

function freshHex(): string {
  const from = takeFresh(16);
  return pool.toString('hex', from, from + 16);
}

const TIME_CHARACTERS = 10;
const RANDOM_CHARACTERS = 16;
const LETTERS = Buffer.from(SORTABLE, 'latin1');
/** Filled anew for each id: thousands a second, one string each instead of one per character. */
const text = Buffer.alloc(TIME_CHARACTERS + RANDOM_CHARACTERS);

/** 10 characters of milliseconds, 16 of randomness: the ULID layout in lower case. */
function sortableId(atMs: number): string {
  for (let rest = atMs, at = TIME_CHARACTERS - 1; at >= 0; at -= 1, rest = Math.floor(rest / 32))
    text[at] = LETTERS[rest % 32] ?? 0;
  const from = takeFresh(RANDOM_CHARACTERS);
  for (let at = 0; at < RANDOM_CHARACTERS; at += 1)
    text[TIME_CHARACTERS + at] = LETTERS[(pool[from + at] ?? 0) % 32] ?? 0;
  return text.toString('latin1');
}

/** Random ids whose time part comes from the given clock. */
export function createIdSource(clock: Clock = systemClock): IdSource {
  const id = (prefix: string) => (): string => `${prefix}-${sortableId(clock.now().getTime())}`;
  return {
    operationId: id('op'),
    planId: id('pl'),
    evaluationId: id('ev'),
    reservationId: id('rs'),
    guestUid: freshHex,
    traceId: freshHex,
  };
}

/** Ids 1, 2, 3... per kind; the same sequence in each run of a test. */
export function createSequentialIds(): IdSource {
  const counters = new Map<string, number>();
  const next = (kind: string): number => {
    const value = (counters.get(kind) ?? 0) + 1;
    counters.set(kind, value);
    return value;
  };
  const id = (prefix: string) => (): string => `${prefix}-${base32(next(prefix)).padStart(26, '0')}`;
  const hex = (kind: string) => (): string => next(kind).toString(16).padStart(32, '0');
  return {
    operationId: id('op'),
    planId: id('pl'),
    evaluationId: id('ev'),
    reservationId: id('rs'),
    guestUid: hex('guest'),
    traceId: hex('trace'),
  };
}

function base32(value: number): string {
  let text = '';
  for (let rest = value; rest > 0; rest = Math.floor(rest / 32)) text = `${SORTABLE.charAt(rest % 32)}${text}`;
  return text;
}
