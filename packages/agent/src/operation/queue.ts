import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { abortReason } from '@pxmgr/kit/sync/abort';

export interface QueueLimits {
  /** Operations that may run at once. */
  readonly running: number;
  /** Operations that may wait; one more is refused with PXM_QUEUE_FULL. */
  readonly waiting: number;
  /** For the error text. */
  readonly node: string;
}

interface Ticket {
  readonly keys: ReadonlySet<string>;
  readonly admit: () => void;
}

/**
 * Keyed first-in-first-out queues under one global limit. A ticket runs when no running ticket and no earlier waiting
 * one shares a key with it, so a wish on one guest never overtakes another wish on the same guest, and two guests do
 * not wait for each other.
 */
export class OperationQueue {
  readonly #limits: QueueLimits;
  readonly #running = new Set<Ticket>();
  #waiting: Ticket[] = [];

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get depth(): number {
    return this.#waiting.length;
  }

  isTaken(key: string): boolean {
    return [...this.#running, ...this.#waiting].some((ticket) => ticket.keys.has(key));
  }

  /** Throws PXM_QUEUE_FULL when nothing more may wait. */
  checkRoom(): void {
    if (this.#waiting.length < this.#limits.waiting) return;
    throw new PxmError('PXM_QUEUE_FULL', { node: this.#limits.node, count: String(this.#waiting.length) });
  }

  /** Runs `body` while the keys are held; rejects with the signal's reason when aborted before its turn. */
  async run<T>(keys: readonly string[], body: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const ticket = await this.#enter(new Set(keys), signal);
    try {
      return await body();
    } finally {
      this.#running.delete(ticket);
      this.#admit();
    }
  }

  #enter(keys: ReadonlySet<string>, signal: AbortSignal | undefined): Promise<Ticket> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== ticket);
        reject(abortReason(signal));
        this.#admit();
      };
      const ticket: Ticket = {
        keys,
        admit: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve(ticket);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(ticket);
      this.#admit();
    });
  }

  #admit(): void {
    const taken = new Set<string>();
    for (const ticket of this.#running) for (const key of ticket.keys) taken.add(key);
    const still: Ticket[] = [];
    for (const ticket of this.#waiting) {
      const free = this.#running.size < this.#limits.running && [...ticket.keys].every((key) => !taken.has(key));
      for (const key of ticket.keys) taken.add(key);
      if (!free) {
        still.push(ticket);
        continue;
      }
      this.#running.add(ticket);
      ticket.admit();
    }
    this.#waiting = still;
  }
}
