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
  /** Counts against the global limit. */
  takesPlace: boolean;
}

export interface QueueOptions {
  /** Rejects with its reason when aborted before its turn. */
  readonly signal?: AbortSignal;
  /** Work of an earlier process: it had its place then. */
  readonly beyondLimit?: boolean;
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

  /**
   * Runs `body` while the keys are held. Its argument gives the place under the limit to others and keeps the keys: for
   * work that waits for what may take hours. The order of two calls is that of their turns.
   */
  async run<T>(
    keys: readonly string[],
    body: (givePlace: () => void) => Promise<T>,
    options: QueueOptions = {},
  ): Promise<T> {
    const ticket = await this.#enter(new Set(keys), options);
    try {
      return await body(() => {
        ticket.takesPlace = false;
        this.#admit();
      });
    } finally {
      this.#running.delete(ticket);
      this.#admit();
    }
  }

  #enter(keys: ReadonlySet<string>, { signal, beyondLimit }: QueueOptions): Promise<Ticket> {
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
        takesPlace: beyondLimit !== true,
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
      const hasPlace = !ticket.takesPlace || this.#placesTaken() < this.#limits.running;
      const free = hasPlace && [...ticket.keys].every((key) => !taken.has(key));
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

  #placesTaken(): number {
    return [...this.#running].filter((ticket) => ticket.takesPlace).length;
  }
}
