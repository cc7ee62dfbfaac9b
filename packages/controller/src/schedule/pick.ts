/** A total order of candidates that depends on nothing but their values and the seed. */

export interface Contender {
  readonly uid: string;
  readonly total: number;
}

const FNV_START = 0x811c9dc5;

function mix(start: number, text: string): number {
  let hash = start;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** FNV-1a over UTF-16 units, then the finaliser of MurmurHash3 (aappleby/smhasher src/MurmurHash3.cpp). */
export function stableHash(text: string): number {
  return finish(mix(FNV_START, text));
}

function finish(mixed: number): number {
  let hash = mixed;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Scores that differ by less are noise of the arithmetic, not a reason. */
const STEP = 1e-9;

/** Totals of the same number of steps are equal. */
export function stepsOf(total: number): number {
  return Math.round(total / STEP);
}

interface Ranked<T> {
  readonly contender: T;
  readonly steps: number;
  readonly hash: number;
}

/**
 * Higher total first, then the hash of seed and uid (so that equals do not all go to the first name), then the uid.
 * Returns a new array.
 */
export function byMerit<T extends Contender>(contenders: readonly T[], seed: string): T[] {
  const ranked = contenders.map((contender): Ranked<T> => {
    return { contender, steps: stepsOf(contender.total), hash: stableHash(`${seed}/${contender.uid}`) };
  });
  ranked.sort((a, b) => b.steps - a.steps || a.hash - b.hash || (a.contender.uid < b.contender.uid ? -1 : 1));
  return ranked.map((one) => one.contender);
}

interface Place {
  slot: number;
  steps: number;
  /** -1 until it is needed. */
  hash: number;
}

/** The two first of the same order, without sorting; names are hashed only where steps are equal. */
export class MeritOrder {
  count = 0;
  readonly #seedHash: number;
  readonly #uidOf: (slot: number) => string;
  #first: Place = { slot: -1, steps: Number.NEGATIVE_INFINITY, hash: -1 };
  #second: Place = { slot: -1, steps: Number.NEGATIVE_INFINITY, hash: -1 };
  #spare: Place = { slot: -1, steps: 0, hash: -1 };

  constructor(seed: string, uidOf: (slot: number) => string) {
    this.#seedHash = mix(FNV_START, `${seed}/`);
    this.#uidOf = uidOf;
  }

  get first(): number {
    return this.#first.slot;
  }

  get second(): number {
    return this.#second.slot;
  }

  offer(slot: number, steps: number): void {
    this.count += 1;
    if (steps < this.#second.steps) return;
    const place = this.#spare;
    place.slot = slot;
    place.steps = steps;
    place.hash = -1;
    if (!this.#isBefore(place, this.#second)) return;
    this.#spare = this.#second;
    if (this.#isBefore(place, this.#first)) {
      this.#second = this.#first;
      this.#first = place;
    } else this.#second = place;
  }

  #isBefore(a: Place, b: Place): boolean {
    if (a.steps !== b.steps) return a.steps > b.steps;
    const [hash, other] = [this.#hashOf(a), this.#hashOf(b)];
    return hash === other ? this.#uidOf(a.slot) < this.#uidOf(b.slot) : hash < other;
  }

  #hashOf(place: Place): number {
    if (place.hash < 0) place.hash = finish(mix(this.#seedHash, this.#uidOf(place.slot)));
    return place.hash;
  }
}
