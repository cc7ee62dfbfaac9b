/**
 * loop/: work that nobody asks for: presence, retention, repair ticks, renewal. A loop has a name, a period and a
 * function; the driver runs each one at a time, survives its failures and remembers how the last run went. Loops take
 * no input and decide nothing that is not derived from stored state.
 */
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';

export interface Loop {
  readonly name: string;
  /** One line for people. */
  readonly description: string;
  readonly periodMs: number;
  run(signal: AbortSignal): Promise<void> | void;
}

/** How the last run of a loop went. */
export interface LoopStatus {
  readonly name: string;
  readonly runs: number;
  readonly failures: number;
  readonly lastRunAt: Date | undefined;
  readonly lastMs: number;
  /** Failure of the last run; undefined when it went well. */
  readonly lastError: unknown;
}

/** Runs loops until it is stopped. */
export class LoopDriver {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #loops: Loop[] = [];
  readonly #status = new Map<string, LoopStatus>();
  readonly #stopping = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  add(loop: Loop): this {
    this.#loops.push(loop);
    this.#status.set(loop.name, {
      name: loop.name,
      runs: 0,
      failures: 0,
      lastRunAt: undefined,
      lastMs: 0,
      lastError: undefined,
    });
    return this;
  }

  start(): void {
    this.#running = Promise.all(this.#loops.map(async (loop) => await this.#drive(loop)));
  }

  /** Waits for the runs under way; they see the signal. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#running;
  }

  status(): LoopStatus[] {
    return [...this.#status.values()];
  }

  async #drive(loop: Loop): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#runOnce(loop, signal);
      await this.#clock.sleep(loop.periodMs, signal).catch(() => undefined);
    }
  }

  async #runOnce(loop: Loop, signal: AbortSignal): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const lastRunAt = this.#clock.now();
    let lastError: unknown;
    try {
      await loop.run(signal);
    } catch (error) {
      lastError = error;
      if (!signal.aborted)
        this.#logger.warn({ err: error, loop: loop.name }, 'a background loop failed; it runs again');
    }
    const before = this.#status.get(loop.name);
    this.#status.set(loop.name, {
      name: loop.name,
      runs: (before?.runs ?? 0) + 1,
      failures: (before?.failures ?? 0) + (lastError === undefined ? 0 : 1),
      lastRunAt,
      lastMs: this.#clock.monotonicMs() - startedMs,
      lastError,
    });
  }
}
