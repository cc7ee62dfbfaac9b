/** Groups a stream of items: a group ends at `max` items, or `waitMs` after its first. */
export class Batcher<T> {
  readonly #limits: { readonly max: number; readonly waitMs: number };
  readonly #queue: T[] = [];
  #ended = false;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;
  /** Set while the source is held back. */
  #release: (() => void) | undefined;

  constructor(source: AsyncIterable<T>, limits: { readonly max: number; readonly waitMs: number }) {
    this.#limits = limits;
    void this.#read(source);
  }

  /** The next group; empty when the source has ended. Throws what the source threw, after the items before it. */
  async next(): Promise<T[]> {
    while (this.#queue.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return [];
      await this.#news();
    }
    if (this.#queue.length < this.#limits.max && !this.#ended) await this.#settle();
    const group = this.#queue.splice(0, this.#limits.max);
    this.#release?.();
    return group;
  }

  async #news(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Waits for a full group or the end of the waiting time. */
  async #settle(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#limits.waitMs);
      const check = (): void => {
        if (this.#queue.length < this.#limits.max && !this.#ended) {
          this.#wake = check;
          return;
        }
        clearTimeout(timer);
        resolve();
      };
      this.#wake = check;
    });
  }

  async #read(source: AsyncIterable<T>): Promise<void> {
    try {
      for await (const item of source) {
        this.#queue.push(item);
        this.#wake();
        // Beyond two groups the source waits: its own window then stops the sender.
        if (this.#queue.length >= this.#limits.max * 2) await this.#hold();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#ended = true;
    this.#wake();
  }

  async #hold(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    this.#release = undefined;
  }
}
