/** The agent killed at every point of every kind of operation. PXMGR_POINT, a regular expression, repeats some of them. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentBench } from '../crash/agent-bench.ts';
import { SCENARIOS } from '../crash/kinds.ts';
import { chosen, nameOf, strikeAll, study } from '../crash/matrix.ts';

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 600_000 });

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

describe('an agent that is killed at any point', () => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))(
    'in %s resumes or undoes it and leaves nothing',
    async (name, scenario) => {
      const studied = await study(bench, scenario);
      expect(studied.points.length).toBeGreaterThan(10);
      const points = chosen(studied.points);
      const wrong = await strikeAll(bench, { ...studied, points });
      process.stdout.write(`${name}: ${points.length} points of ${studied.points.length}, ${wrong.length} problems\n`);
      expect(wrong).toEqual([]);
    },
  );
});
