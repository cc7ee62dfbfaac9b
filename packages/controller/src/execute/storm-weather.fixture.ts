/** For tests: all the storms there may be. */
import fc from 'fast-check';
import { FATES, type Fate } from './storm-agents.fixture.ts';
import { type HostSketch, LOCAL, SHARED } from './storm-hosts.fixture.ts';

export interface Ask {
  readonly afterMs: number;
  readonly memoryGib: number;
  readonly cores: number;
  readonly rootfsGib: number;
  readonly storage: '' | typeof LOCAL | typeof SHARED;
  /** `card`: the first card by its path. */
  readonly device: 'none' | 'gpu' | 'whole gpu' | 'card' | 'usb';
  readonly vramGib: number;
  /** 0 = any. */
  readonly vmid: number;
  readonly start: boolean;
  readonly then: 'keep' | 'forget' | 'cancel' | 'destroy';
}

/** What a person does on a host at the same time. */
export interface Deed {
  readonly afterMs: number;
  readonly what: 'guest' | 'card' | 'usb' | 'fill' | 'destroy';
  readonly node: number;
  readonly vmid: number;
}

export interface Storm {
  readonly hosts: readonly HostSketch[];
  readonly asks: readonly Ask[];
  readonly fates: readonly Fate[];
  readonly paces: readonly number[];
  /** Commits, orders and waits that each controller lives. */
  readonly lives: readonly number[];
  readonly deeds: readonly Deed[];
  /** Jumps of the wall clock. */
  readonly jumps: readonly { readonly afterMs: number; readonly byMs: number }[];
}

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
const YEAR_MS = 365 * 24 * HOUR_MS;

const often = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: fc.constantFrom(...others) });

const ask: fc.Arbitrary<Ask> = fc.record({
  afterMs: fc.integer({ min: 0, max: 20 * SECOND_MS }),
  memoryGib: fc.integer({ min: 1, max: 3 }),
  cores: fc.integer({ min: 0, max: 4 }),
  rootfsGib: fc.integer({ min: 2, max: 12 }),
  storage: often<Ask['storage']>('', LOCAL, SHARED),
  device: often<Ask['device']>('none', 'gpu', 'whole gpu', 'card', 'usb'),
  vramGib: fc.constantFrom(0, 4, 6),
  vmid: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 100, max: 103 }) },
  ),
  start: fc.boolean(),
  then: often<Ask['then']>('keep', 'forget', 'cancel', 'destroy'),
});

const deed: fc.Arbitrary<Deed> = fc.record({
  afterMs: fc.integer({ min: 0, max: 30 * SECOND_MS }),
  what: fc.constantFrom('guest', 'card', 'usb', 'fill', 'destroy'),
  node: fc.nat({ max: 2 }),
  vmid: fc.integer({ min: 100, max: 108 }),
});

export const storms: fc.Arbitrary<Storm> = fc.record({
  hosts: fc.array(
    fc.record({
      memoryGib: fc.integer({ min: 5, max: 24 }),
      cores: fc.integer({ min: 4, max: 8 }),
      poolGib: fc.integer({ min: 10, max: 80 }),
      vramGib: fc.array(fc.constantFrom(8, 12), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  asks: fc.array(ask, { minLength: 16, maxLength: 16, size: 'max' }),
  fates: fc.array(often('well' as const, ...FATES), { maxLength: 80, size: 'max' }),
  paces: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 12 }),
  lives: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 4 }),
  deeds: fc.array(deed, { maxLength: 4 }),
  jumps: fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 60 * SECOND_MS }),
      byMs: fc.constantFrom(-YEAR_MS, -HOUR_MS, HOUR_MS, YEAR_MS),
    }),
    { maxLength: 2 },
  ),
});
