import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSeal, SEAL_KEY_BYTES } from './seal.ts';

describe('a seal', () => {
  const seal = createSeal(randomBytes(SEAL_KEY_BYTES));

  it('gives back what it closed, and never the same bytes twice', () => {
    const first = seal.close('swordfish ü');
    expect(seal.open(first)).toBe('swordfish ü');
    expect(first.includes('swordfish')).toBe(false);
    expect(seal.close('swordfish ü').equals(first)).toBe(false);
  });

  it('stays closed for another key, damage and nothing', () => {
    const sealed = seal.close('swordfish');
    expect(createSeal(randomBytes(SEAL_KEY_BYTES)).open(sealed)).toBeUndefined();
    sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
    expect(seal.open(sealed)).toBeUndefined();
    expect(seal.open(Buffer.alloc(0))).toBeUndefined();
  });
});
