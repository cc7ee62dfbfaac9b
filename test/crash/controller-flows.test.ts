/** The controller killed at its other durable writes: a fixed one of each flow; `npm run test:soak` has all of them. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { TestFleet } from '../e2e/fleet.ts';
import { FLOWS, learnFlow, startFlowFleet, strikeFlow } from './controller-flows.ts';
import { seeded } from './matrix.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

/** The same part at each run; another one with PXMGR_SEED. */
const SEED = Number(process.env['PXMGR_SEED'] ?? 1);

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await startFlowFleet();
});
afterAll(async () => {
  await fleet.stop();
});

describe('a controller that is killed while', () => {
  it.each(FLOWS.map((flow) => [flow.name, flow] as const))('%s has done it or has not', async (_name, flow) => {
    const points = await learnFlow(fleet, flow, 1);
    const point = points[Math.floor(seeded(SEED)() * points.length)];
    if (point === undefined) throw new Error('it writes nothing');
    const problems = await strikeFlow(fleet, flow, { n: 2, point });
    expect(problems, `PXMGR_SEED=${SEED}`).toEqual([]);
  });
});
