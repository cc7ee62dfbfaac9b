/**
 * The agent killed in the recovery of every kind of operation, at every point of it, and in the recovery of that.
 * PXMGR_POINT, a regular expression, repeats some of them.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentBench } from '../crash/agent-bench.ts';
import { SCENARIOS } from '../crash/kinds.ts';
import { chosen, nameOf } from '../crash/matrix.ts';
import { interruptions, strikeTwice } from '../crash/twice.ts';

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 600_000 });

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

describe('an agent that is killed in its recovery', () => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))(
    'of %s goes on with it and leaves nothing',
    async (name, scenario) => {
      const wrong: string[] = [];
      for (const interrupted of await interruptions(bench, scenario)) {
        const points = chosen(interrupted.points);
        const found = await strikeTwice(bench, { ...interrupted, points });
        process.stdout.write(
          `${name}, ${interrupted.first.name}: ${points.length} points of ${interrupted.points.length} of its recovery, ${found.length} problems\n`,
        );
        wrong.push(...found);
      }
      expect(wrong).toEqual([]);
    },
  );
});
