/** A total order of candidates that depends on nothing but their values and the seed. */

export interface Contender {
  readonly uid: string;
  readonly total: number;
}

/** FNV-1a over UTF-16 units, then the finaliser of MurmurHash3 (aappleby/smhasher src/MurmurHash3.cpp). */
export function stableHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Scores that differ by less are noise of the arithmetic, not a reason. */
const STEP = 1e-9;

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
    return { contender, steps: Math.round(contender.total / STEP), hash: stableHash(`${seed}/${contender.uid}`) };
  });
  ranked.sort((a, b) => b.steps - a.steps || a.hash - b.hash || (a.contender.uid < b.contender.uid ? -1 : 1));
  return ranked.map((one) => one.contender);
}
