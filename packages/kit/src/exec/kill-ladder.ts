/** SIGTERM now, SIGKILL after the grace; asked twice it climbs once. The signals go to the process itself: pct passes
 * them to its worker and cleans up, a group kill would take that chance away. */
export class KillLadder {
  readonly #kill: (signal: 'SIGTERM' | 'SIGKILL') => void;
  readonly #graceMs: number;
  #timer: NodeJS.Timeout | undefined;
  #begun = false;

  constructor(kill: (signal: 'SIGTERM' | 'SIGKILL') => void, graceMs: number) {
    this.#kill = kill;
    this.#graceMs = graceMs;
  }

  get begun(): boolean {
    return this.#begun;
  }

  climb(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#kill('SIGTERM');
    this.#timer = setTimeout(() => {
      this.#kill('SIGKILL');
    }, this.#graceMs);
  }

  /** The process is gone: a later SIGKILL could hit a stranger with the same pid. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#begun = true;
  }
}
