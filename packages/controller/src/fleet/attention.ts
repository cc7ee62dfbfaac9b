import type { Clock } from '@pxmgr/kit/clock';

/** Proofs further apart than this leave a hole in which nobody listened. */
const GAP_MS = 5_000;

/**
 * For how long the bus was really listened to. Silence of a node counts in this time only: a controller that was away,
 * or whose bus stood still, heard nobody and so knows nothing against anybody.
 */
export class Attention {
  readonly #clock: Clock;
  #listenedMs = 0;
  #provenMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the start of this process, holes left out. */
  get listenedMs(): number {
    return this.#listenedMs;
  }

  get isListening(): boolean {
    return this.#provenMs !== undefined && this.#clock.monotonicMs() - this.#provenMs <= GAP_MS;
  }

  /** The bus answers now; to be called about once a second. */
  prove(): void {
    const now = this.#clock.monotonicMs();
    if (this.#provenMs !== undefined && this.isListening) this.#listenedMs += now - this.#provenMs;
    this.#provenMs = now;
  }
}
