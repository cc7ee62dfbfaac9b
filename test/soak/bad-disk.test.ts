/** The disk under the agent refuses a write, or has no room from then on: every place of every kind of operation. PXMGR_POINT, a regular expression, repeats some. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench } from '../crash/agent-bench.ts';
import { refuseAt, studyDisk } from '../crash/bad-disk.ts';
import { SCENARIOS } from '../crash/kinds.ts';
import { nameOf } from '../crash/matrix.ts';

const isChosen = new RegExp(process.env['PXMGR_POINT'] ?? '');

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

describe.each(['EIO', 'ENOSPC'] as const)('%s at a write of', (how) => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))('%s', async (name, scenario) => {
    // Folders and records that the first use makes are no effect of the second.
    await studyDisk(bench, scenario);
    const studied = await studyDisk(bench, scenario);
    const points = studied.points.filter(({ call, path, nth }) => isChosen.test(`${call} ${path} (${nth})`));
    const wrong: string[] = [];
    for (const point of points) wrong.push(...(await refuseAt(bench, studied, { point, how })));
    process.stdout.write(
      `${name}, ${how}: ${points.length} points of ${studied.points.length}, ${wrong.length} problems\n`,
    );
    expect(wrong).toEqual([]);
  });
});
