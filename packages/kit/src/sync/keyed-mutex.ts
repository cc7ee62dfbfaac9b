/**
 * sync/: who may go when. Mutual exclusion by key, abort signals, and a breaker for each peer. No room keeps
 * locks of its own beside these.
 */
import { abortReason } from './abort.ts';

interface Waiter {
  readonly go: () => void;
}

/** One runner per key at a time, in the order of asking. A waiter whose signal is aborted leaves the queue. */
export class KeyedMutex {
  readonly #queues = new Map<string, Waiter[]>();

  /** Runs `fn` when the key is free; rejects with the signal's reason when aborted before that. Not re-entrant. */
  async run<T>(key: string, fn: () => Promise<T> | T, signal?: AbortSignal): Promise<T> {
    await this.#acquire(key, signal);
    try {
      return await fn();
    } finally {
      this.#release(key);
    }
  }

  /** Holder included. */
  length(key: string): number {
    return this.#queues.get(key)?.length ?? 0;
  }

  get keys(): string[] {
    return [...this.#queues.keys()];
  }

  #acquire(key: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const queue = this.#queues.get(key) ?? [];
      this.#queues.set(key, queue);
      const onAbort = (): void => {
        queue.splice(queue.indexOf(waiter), 1);
        reject(abortReason(signal));
      };
      const waiter: Waiter = {
        go: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      queue.push(waiter);
      if (queue.length === 1) waiter.go();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #release(key: string): void {
    const queue = this.#queues.get(key);
    queue?.shift();
    const next = queue?.[0];
    if (next === undefined) this.#queues.delete(key);
    else next.go();
  }
}
