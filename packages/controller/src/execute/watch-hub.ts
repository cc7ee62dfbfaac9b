/** Wakes those who follow an operation. It holds no events: a watcher reads them from the store, however slow it is. */
export class WatchHub {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Something was written about the operation. */
  bump(id: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    for (const wake of waiting) wake();
  }

  /** Resolves at the next bump, or when the signal is aborted. Take it before reading, wait for it after. */
  next(id: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const waiting = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiting);
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  /** Number of operations somebody waits for. */
  get watched(): number {
    return this.#waiting.size;
  }
}
