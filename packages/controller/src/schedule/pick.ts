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

/** Higher total first, then the hash of seed and uid (so that equals do not all go to the first name), then the uid. */
export function byMerit(seed: string): (a: Contender, b: Contender) => number {
  return (a, b) => {
    const [left, right] = [Math.round(a.total / STEP), Math.round(b.total / STEP)];
    if (left !== right) return right - left;
    const [first, second] = [stableHash(`${seed}/${a.uid}`), stableHash(`${seed}/${b.uid}`)];
    if (first !== second) return first - second;
    return a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0;
  };
}
