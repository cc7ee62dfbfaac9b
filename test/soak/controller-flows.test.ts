/** The controller killed before and after every durable write of every flow. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FLOWS, learnFlow, startFlowFleet, strikeFlow } from '../crash/controller-flows.ts';
import type { TestFleet } from '../e2e/fleet.ts';

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 600_000 });

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await startFlowFleet();
});
afterAll(async () => {
  await fleet.stop();
});

describe('a controller that is killed at any write while', () => {
  it.each(FLOWS.map((flow) => [flow.name, flow] as const))('%s has done it or has not', async (name, flow) => {
    const points = await learnFlow(fleet, flow, 1);
    process.stdout.write(`${name}: ${points.length} points\n`);
    const wrong: string[] = [];
    for (const [index, point] of points.entries())
      wrong.push(
        ...(await strikeFlow(fleet, flow, { n: index + 2, point }).catch((error: unknown) => [
          `${point.name}: ${String(error)}`,
        ])),
      );
    expect(wrong).toEqual([]);
  });
});
