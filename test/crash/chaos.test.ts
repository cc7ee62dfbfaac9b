/** Signals at random moments: the same few at each run; PXMGR_SEED gives others, `npm run test:soak` many. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Arena, anyBlow } from './chaos.ts';
import { seeded } from './matrix.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const SEED = Number(process.env['PXMGR_SEED'] ?? 1);
const BLOWS = 3;
/** Neighbouring seeds strike the same again. */
const STRIDE = 7;

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(async () => {
  await arena.close();
});

it.each(Array.from({ length: BLOWS }, (_, index) => anyBlow(seeded(SEED + index * STRIDE))))(
  'a $deed bears $signal for the $target after $looks looks',
  async (blow) => {
    expect(await arena.take(blow), `PXMGR_SEED=${SEED}`).toEqual([]);
  },
);
