/**
 * The agent killed before, in and after every write of a file by every kind of operation, beside those of its journals,
 * which agent-points.test.ts has. PXMGR_POINT, a regular expression, repeats some of them.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AgentBench } from '../crash/agent-bench.ts';
import { refuseAt, studyDisk } from '../crash/bad-disk.ts';
import { SCENARIOS } from '../crash/kinds.ts';
import { nameOf } from '../crash/matrix.ts';

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 600_000 });

const isChosen = new RegExp(process.env['PXMGR_POINT'] ?? '');
const JOURNAL = /^(?:writeSync|fdatasync) \/operations\/.*jsonl/;

let bench: AgentBench;
beforeAll(async () => {
  bench = await AgentBench.start();
});
afterAll(async () => {
  await bench.stop();
});

describe('an agent that is killed at any write', () => {
  it.each(SCENARIOS.map((scenario) => [nameOf(scenario), scenario] as const))(
    'of %s resumes or undoes it and leaves nothing',
    async (name, scenario) => {
      // Folders and records that the first use makes are no effect of the second.
      await studyDisk(bench, scenario);
      const studied = await studyDisk(bench, scenario);
      const points = studied.points.filter(({ call, path, nth }) => {
        const where = `${call} ${path} (${nth})`;
        return !JOURNAL.test(where) && isChosen.test(where);
      });
      const wrong: string[] = [];
      for (const point of points)
        for (const how of ['kill before', 'tear', 'kill after'] as const) {
          // Half of a call that writes no data is the whole of it.
          if (how === 'tear' && !/write|append/i.test(point.call)) continue;
          const found = await refuseAt(bench, studied, { point, how });
          for (const line of found) process.stdout.write(`${line}\n`);
          wrong.push(...found);
        }
      process.stdout.write(`${name}: ${points.length} writes of ${studied.points.length}, ${wrong.length} problems\n`);
      expect(wrong).toEqual([]);
    },
  );
});
