/** The disk under the agent refuses a write: a part of the places where the operations that write most do so; `npm run test:soak` has all. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentBench } from './agent-bench.ts';
import { oneOfEach, refuseAt, studyDisk } from './bad-disk.ts';
import { nameOf, seeded } from './matrix.ts';
import { scenarioOf } from './twice.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** The same part at each run; another one with PXMGR_SEED. */
const SEED = Number(process.env['PXMGR_SEED'] ?? 1);
const POINTS = 3;
const SCENARIOS = [scenarioOf('image.pull'), scenarioOf('container.create', 'from an image')];

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

describe('a disk that refuses a write of', () => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))(
    '%s leaves it done or undone, says so, and claims nothing that does not last',
    async (_name, scenario) => {
      const studied = await studyDisk(bench, scenario);
      const random = seeded(SEED);
      const kinds = oneOfEach(studied.points, random);
      expect(kinds.length).toBeGreaterThan(8);
      const points = kinds
        .map((point) => ({ point, at: random() }))
        .sort((a, b) => a.at - b.at)
        .slice(0, POINTS);
      const wrong: string[] = [];
      for (const { point } of points) wrong.push(...(await refuseAt(bench, studied, { point, how: 'EIO' })));
      expect(wrong, `PXMGR_SEED=${String(SEED)}`).toEqual([]);
    },
  );
});
