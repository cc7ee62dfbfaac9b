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

/** The two first of the same order, without sorting; names are hashed only where steps are equal. */
export class MeritOrder {
  first = -1;
  second = -1;
  count = 0;
  readonly #seedHash: number;
  readonly #uidOf: (slot: number) => string;
  #firstSteps = 0;
  #secondSteps = 0;

  constructor(seed: string, uidOf: (slot: number) => string) {
    this.#seedHash = mix(FNV_START, `${seed}/`);
    this.#uidOf = uidOf;
  }

  offer(slot: number, steps: number): void {
    this.count += 1;
    if (this.second >= 0 && !this.#isBefore(slot, steps, this.second, this.#secondSteps)) return;
    if (this.first >= 0 && !this.#isBefore(slot, steps, this.first, this.#firstSteps)) {
      this.second = slot;
      this.#secondSteps = steps;
      return;
    }
    this.second = this.first;
    this.#secondSteps = this.#firstSteps;
    this.first = slot;
    this.#firstSteps = steps;
  }

  // eslint-disable-next-line @typescript-eslint/max-params -- two pairs in the innermost loop; objects for them cost a third of it
  #isBefore(slot: number, steps: number, other: number, otherSteps: number): boolean {
    if (steps !== otherSteps) return steps > otherSteps;
    const [uid, otherUid] = [this.#uidOf(slot), this.#uidOf(other)];
    const [hash, otherHash] = [finish(mix(this.#seedHash, uid)), finish(mix(this.#seedHash, otherUid))];
    return hash === otherHash ? uid < otherUid : hash < otherHash;
  }
}
