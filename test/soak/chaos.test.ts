/** Signals at random moments, with a seed of its own at each run. PXMGR_SEED repeats one, PXMGR_RUNS says how many. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Arena, anyBlow } from '../crash/chaos.ts';
import { seeded } from '../crash/matrix.ts';

vi.setConfig({ testTimeout: 24 * 3_600_000, hookTimeout: 600_000 });

const SEED = Number(process.env['PXMGR_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const RUNS = Number(process.env['PXMGR_RUNS'] ?? 300);

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(async () => {
  await arena.close();
});

it('every run ends whole or gone, whoever is struck and when', async () => {
  const wrong: string[] = [];
  for (let index = 0; index < RUNS; index += 1) {
    const blow = anyBlow(seeded(SEED + index));
    const problems = await arena.take(blow).catch((error: unknown) => [String(error)]);
    wrong.push(
      ...problems.map((problem) => `PXMGR_SEED=${SEED + index} PXMGR_RUNS=1 ${JSON.stringify(blow)}: ${problem}`),
    );
  }
  process.stdout.write(`chaos: ${RUNS} blows, PXMGR_SEED=${SEED}\n`);
  expect(wrong).toEqual([]);
});
