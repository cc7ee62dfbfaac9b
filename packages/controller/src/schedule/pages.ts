/** A list that is copied often and written seldom: a copy shares all pages, a write makes one page anew. */

const PAGE = 64;

export class Pages<T> {
  readonly length: number;
  #pages: T[][] = [];
  /** Pages that a copy may hold too. */
  readonly #shared: Uint8Array;

  constructor(values: readonly T[]) {
    this.length = values.length;
    for (let from = 0; from < values.length; from += PAGE) this.#pages.push(values.slice(from, from + PAGE));
    this.#shared = new Uint8Array(this.#pages.length);
  }

  get(index: number): T | undefined {
    return this.#pages[Math.floor(index / PAGE)]?.[index % PAGE];
  }

  set(index: number, value: T): void {
    const number = Math.floor(index / PAGE);
    let page = this.#pages[number];
    if (page === undefined || index >= this.length) throw new RangeError(`no place ${String(index)}`);
    if (this.#shared[number] === 1) {
      page = page.slice();
      this.#pages[number] = page;
      this.#shared[number] = 0;
    }
    page[index % PAGE] = value;
  }

  /** The values of this moment, whatever is written later; the list itself is made when it is asked for. */
  freeze(): () => T[] {
    const pages = this.#pages.slice();
    this.#shared.fill(1);
    return () => pages.flat();
  }
}
