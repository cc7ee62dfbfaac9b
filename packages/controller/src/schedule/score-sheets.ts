/**
 * What every node scored for a kind of wish: of the next wish of that kind only the nodes that changed since are scored
 * again. A sheet holds what the scorer said of the node as it is now, or that nobody has asked.
 */

/** In place of a score. */
export const NOT_ASKED = -2;
export const NO_FIT = -1;

/** Kinds that are remembered; those asked about longest ago are forgotten first. */
const SHEETS_MAX = 32;

export class ScoreSheets {
  readonly #length: number;
  readonly #sheets = new Map<string, Int32Array>();

  /** `length`: number of nodes. */
  constructor(length: number) {
    this.#length = length;
  }

  /** The scores by slot, for the caller to complete. `kind` stands for everything of the wish that the scores depend on. */
  of(kind: string): Int32Array {
    const sheet = this.#sheets.get(kind) ?? this.blank();
    this.#sheets.delete(kind);
    this.#sheets.set(kind, sheet);
    if (this.#sheets.size > SHEETS_MAX) this.#forgetOldest();
    return sheet;
  }

  /** One that nobody else sees. */
  blank(): Int32Array {
    return new Int32Array(this.#length).fill(NOT_ASKED);
  }

  /** The node in this slot, or what is held on it, is another one now. */
  forget(slot: number): void {
    for (const sheet of this.#sheets.values()) sheet[slot] = NOT_ASKED;
  }

  #forgetOldest(): void {
    for (const kind of this.#sheets.keys()) {
      this.#sheets.delete(kind);
      return;
    }
  }
}
