/** The agent killed while it works: a part of all points with every kind of point; `npm run test:soak` has all. */
import { recoveryRules } from '@pxmgr/agent/rpc/recovery';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentBench } from './agent-bench.ts';
import { SCENARIOS } from './kinds.ts';
import { nameOf, representative, type Studied, seeded, strikeAll, studyAll } from './matrix.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

/** The same part at each run; another one with PXMGR_SEED. */
const SEED = Number(process.env['PXMGR_SEED'] ?? 1);

let bench: AgentBench;
let chosen: Studied[];
beforeAll(async () => {
  bench = await AgentBench.start();
  const studied = await studyAll(bench);
  chosen = representative(studied, seeded(SEED));
  const count = (list: readonly Studied[]): number => list.reduce((sum, { points }) => sum + points.length, 0);
  process.stdout.write(`agent points: ${count(chosen)} of ${count(studied)}, PXMGR_SEED=${SEED}\n`);
});
afterAll(async () => {
  await bench.stop();
});

it('has a row for every kind of operation that the agent knows', () => {
  const known = recoveryRules({} as never, {} as never);
  expect([...new Set(SCENARIOS.map(({ kind }) => kind))].sort()).toEqual([...known.keys()].sort());
});

describe('an agent that is killed', () => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))(
    'in %s resumes or undoes it and leaves nothing',
    async (_name, scenario) => {
      const studied = chosen.find((one) => one.scenario === scenario);
      expect(studied).toBeDefined();
      expect(studied === undefined ? [] : await strikeAll(bench, studied), `PXMGR_SEED=${SEED}`).toEqual([]);
    },
  );
});
