import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FreeVmids } from './vmid.ts';

const RANGE = { first: 100, last: 115 };

/** Asks about each number of the range. */
function reference(taken: ReadonlySet<number>, resting: ReadonlySet<number>): number | undefined {
  for (let vmid = RANGE.first; vmid <= RANGE.last; vmid += 1) if (!taken.has(vmid) && !resting.has(vmid)) return vmid;
  return undefined;
}

type Step = readonly ['take' | 'free' | 'rest' | 'wake', number];

describe('FreeVmids', () => {
  it('finds the lowest, whatever was taken, let go and rested meanwhile', () => {
    const step: fc.Arbitrary<Step> = fc.tuple(
      fc.constantFrom('take' as const, 'take' as const, 'free' as const, 'rest' as const, 'wake' as const),
      fc.integer({ min: RANGE.first, max: RANGE.last }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const [taken, resting, free] = [new Set<number>(), new Set<number>(), new FreeVmids(RANGE)];
        for (const [what, vmid] of steps) {
          if (what === 'take') taken.add(vmid);
          if (what === 'free' && taken.delete(vmid)) free.release(vmid);
          if (what === 'rest') resting.add(vmid);
          if (what === 'wake') resting.delete(vmid);
          const use = { isTaken: (id: number) => taken.has(id), isResting: (id: number) => resting.has(id) };
          expect(free.lowest(use)).toBe(reference(taken, resting));
        }
      }),
    );
  });
});
