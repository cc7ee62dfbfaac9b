/** The agent killed at every point of every kind of operation. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentBench } from '../crash/agent-bench.ts';
import { SCENARIOS } from '../crash/kinds.ts';
import { nameOf, type Studied, strikeAll, study } from '../crash/matrix.ts';

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 600_000 });

let bench: AgentBench;
let studied: Studied[];
beforeAll(async () => {
  bench = await AgentBench.start();
  studied = await study(bench);
});
afterAll(async () => {
  await bench.stop();
});

describe('an agent that is killed at any point', () => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))(
    'in %s resumes or undoes it and leaves nothing',
    async (_name, scenario) => {
      const all = studied.find((one) => one.scenario === scenario);
      expect(all?.points.length).toBeGreaterThan(10);
      expect(all === undefined ? [] : await strikeAll(bench, all)).toEqual([]);
    },
  );
});
