/** The agent killed in the recovery of every kind of operation, at every point of it, and in the recovery of that. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentBench } from '../crash/agent-bench.ts';
import { SCENARIOS } from '../crash/kinds.ts';
import { nameOf } from '../crash/matrix.ts';
import { interrupt, strikeTwice } from '../crash/twice.ts';

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
      const interrupted = await interrupt(bench, scenario);
      process.stdout.write(`${name}, ${interrupted.first.name}: ${interrupted.points.length} points of its recovery\n`);
      expect(await strikeTwice(bench, interrupted)).toEqual([]);
    },
  );
});
