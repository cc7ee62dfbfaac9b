/** The agent killed in its recovery, and in the recovery of that; `npm run test:soak` has every kind and every point. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { AgentBench } from './agent-bench.ts';
import { nameOf, seeded } from './matrix.ts';
import { interruptions, scenarioOf, strikeTwice } from './twice.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 });

/** The same part at each run; another one with PXMGR_SEED. */
const SEED = Number(process.env['PXMGR_SEED'] ?? 1);
const POINTS = 2;

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

const CHOSEN = [scenarioOf('container.create', 'from a template'), scenarioOf('container.snapshot.rollback')];

it.each(CHOSEN.map((scenario) => [nameOf(scenario), scenario] as const))(
  'a recovery of %s that is killed is gone on with',
  async (name, scenario) => {
    const [interrupted] = await interruptions(bench, scenario);
    if (interrupted === undefined) throw new Error('nothing was interrupted');
    const random = seeded(SEED);
    const slice = interrupted.points.length / POINTS;
    const points = Array.from(
      { length: POINTS },
      (_, index) => interrupted.points[Math.floor((index + random()) * slice)],
    ).filter((point) => point !== undefined);
    process.stdout.write(`recovery points of ${name}: ${POINTS} of ${interrupted.points.length}, PXMGR_SEED=${SEED}\n`);
    expect(points).toHaveLength(POINTS);
    expect(await strikeTwice(bench, { ...interrupted, points }), `PXMGR_SEED=${SEED}`).toEqual([]);
  },
);
