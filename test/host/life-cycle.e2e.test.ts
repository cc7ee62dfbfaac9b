/** The suite of `npm run test:host`, on stand-in hosts. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TEST_LIMIT_MS } from '../e2e/fleet.ts';
import { Course } from './course.ts';
import { LIFE_CYCLE } from './life-cycle.ts';
import { Stage } from './stage.ts';
import { StandInTarget } from './stand-in-target.ts';
import { MARKER, requireUsable, sweep } from './target.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

describe.each(['pve1', 'pve2'] as const)('an agent on the stand-in host %s', (name) => {
  let stage: Stage;
  let target: StandInTarget;
  let course: Course;

  beforeAll(async () => {
    stage = await Stage.start();
    target = await StandInTarget.create(stage, name);
    course = new Course(stage, target);
  });
  afterAll(async () => {
    await target.close();
    await stage.stop();
  });

  it('is let in only where the host carries the marker and the ids are free', async () => {
    await requireUsable(target);
    await target.removeFile(MARKER);
    await expect(requireUsable(target)).rejects.toThrow(MARKER);
    await target.writeFile(MARKER, Buffer.from(''));
    await target.tool('pct', 'create', '9001', 'local:vztmpl/none.tar');
    await target.writeFile(`/etc/pve/nodes/${name}/lxc/9001.conf`, Buffer.from('hostname: other\narch: amd64\n'));
    await expect(requireUsable(target)).rejects.toThrow('container 9001');
    await target.removeFile(`/etc/pve/nodes/${name}/lxc/9001.conf`);
    await requireUsable(target);
  });

  for (const step of LIFE_CYCLE) {
    it(step.title, async () => {
      await step.run(course);
    });
  }

  it('needs no sweeping afterwards', async () => {
    expect(await sweep(target)).toEqual([]);
  });
});
