import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pages } from './pages.ts';

describe('Pages', () => {
  it('behaves like an array that is copied as a whole', () => {
    const writes = fc.array(fc.tuple(fc.nat({ max: 199 }), fc.integer()), { maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.array(writes, { maxLength: 5 }), (length, rounds) => {
        const plain = Array.from({ length }, (_, index) => index);
        const pages = new Pages(plain);
        const copies: [number[], () => number[]][] = [];
        for (const round of rounds) {
          copies.push([[...plain], pages.freeze()]);
          for (const [at, value] of round) {
            plain[at % length] = value;
            pages.set(at % length, value);
          }
        }
        expect(plain.map((_, index) => pages.get(index))).toEqual(plain);
        for (const [then, copy] of copies) expect(copy()).toEqual(then);
      }),
    );
  });

  it('has no place beyond its end', () => {
    expect(() => {
      new Pages([1, 2]).set(2, 3);
    }).toThrow(RangeError);
    expect(new Pages([1, 2]).get(2)).toBeUndefined();
  });
});
