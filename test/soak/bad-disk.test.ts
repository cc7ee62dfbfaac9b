/** The disk under the agent refuses a write, or has no room from then on: every place of every kind of operation. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench } from '../crash/agent-bench.ts';
import { refuseAt, studyDisk } from '../crash/bad-disk.ts';
import { SCENARIOS } from '../crash/kinds.ts';
import { nameOf } from '../crash/matrix.ts';

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

describe.each(['EIO', 'ENOSPC'] as const)('%s at a write of', (how) => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))('%s', async (_name, scenario) => {
    // Folders and records that the first use makes are no effect of the second.
    await studyDisk(bench, scenario);
    const studied = await studyDisk(bench, scenario);
    const wrong: string[] = [];
    for (const point of studied.points) wrong.push(...(await refuseAt(bench, studied, { point, how })));
    expect(wrong).toEqual([]);
  });
});
