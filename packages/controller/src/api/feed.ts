import { PxmError } from '@pxmgr/kit/error/pxm-error';

const WAITING_MAX = 10_000;

/** Events on their way to one watcher. Ends with the signal; a watcher that does not keep up is ended, not waited for. */
export class Feed<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = [];
  readonly #signal: AbortSignal;
  #isTooSlow = false;
  #wake: () => void = () => undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener(
      'abort',
      () => {
        this.#wake();
      },
      { once: true },
    );
  }

  push(item: T): void {
    if (this.#isTooSlow) return;
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(item);
    else this.#giveUp();
    this.#wake();
  }

  /** It begins again with the current state: what it has not read is of no use to it, and it may never read on. */
  #giveUp(): void {
    this.#isTooSlow = true;
    this.#waiting.length = 0;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    while (!this.#signal.aborted) {
      const item = this.#waiting.shift();
      if (item !== undefined) {
        yield item;
        continue;
      }
      if (this.#isTooSlow)
        throw new PxmError(
          'PXM_CANCELLED',
          { what: 'the watch' },
          { detail: 'the watcher did not keep up; begin again with the current state' },
        );
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
