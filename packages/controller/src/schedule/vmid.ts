/** First and last vmid that placements may use. */
export interface VmidRange {
  readonly first: number;
  readonly last: number;
}

export interface VmidUse {
  /** By a guest or a reservation: free again only when somebody says so. */
  readonly isTaken: (vmid: number) => boolean;
  /** Left alone for a while: free again by itself. */
  readonly isResting: (vmid: number) => boolean;
}

/**
 * The lowest vmid of the range that nobody has, without asking about each of them each time: below the frontier all are
 * taken, except perhaps those that were let go since.
 */
export class FreeVmids {
  readonly #range: VmidRange;
  readonly #maybe = new Set<number>();
  #frontier: number;

  constructor(range: VmidRange) {
    this.#range = range;
    this.#frontier = range.first;
  }

  /** Somebody let it go. */
  release(vmid: number): void {
    if (vmid < this.#frontier && vmid >= this.#range.first) this.#maybe.add(vmid);
  }

  /** Anything may have changed. */
  reset(): void {
    this.#maybe.clear();
    this.#frontier = this.#range.first;
  }

  /** Undefined when all are taken. */
  lowest(use: VmidUse): number | undefined {
    let found: number | undefined;
    for (const vmid of this.#maybe) {
      if (use.isTaken(vmid)) this.#maybe.delete(vmid);
      else if ((found === undefined || vmid < found) && !use.isResting(vmid)) found = vmid;
    }
    if (found !== undefined) return found;
    for (; this.#frontier <= this.#range.last; this.#frontier += 1) {
      if (use.isTaken(this.#frontier)) continue;
      if (!use.isResting(this.#frontier)) return this.#frontier;
      this.#maybe.add(this.#frontier);
    }
    return undefined;
  }
}
