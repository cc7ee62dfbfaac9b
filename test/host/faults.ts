/** Things that go wrong on a host that is otherwise fine; afterwards everything is whole or gone. */
import assert from 'node:assert/strict';
import type { Course, Step } from './course.ts';
import { WEB } from './names.ts';
import { toolText } from './target.ts';

const VICTIM = 'pxmgr-test-victim';
const ZEROS = `sha256:${'0'.repeat(64)}`;

/** The words of a create at the n-th id. */
function create(course: Course, n: number, image = course.stage.image): string[] {
  const { name, allowance } = course.target;
  const place = ['--node', name, '--vmid', course.vmid(n), '--storage', allowance.storage];
  return ['container', 'create', image, '--name', VICTIM, '--rootfs', '1GiB', '--volume-size', '1GiB', ...place];
}

async function isGone(course: Course, vmid: string): Promise<boolean> {
  return (await course.target.tool('pct', 'config', vmid)).exitCode !== 0;
}

export const FAULTS: readonly Step[] = [
  {
    title: 'survives SIGKILL in the middle of a create: the guest is whole or gone',
    run: async (course) => {
      const vmid = course.vmid(2);
      const id = await course.begin(create(course, 2));
      await course.waitFor('the create is under way', async () => {
        const { state, steps } = await course.operation(id);
        const isAtWork = steps.some(({ title, state: at }) => title.startsWith('create') && at !== 'queued');
        return isAtWork || state === 'done' ? true : undefined;
      });
      await course.target.killAgent();
      await course.target.startAgent();
      await course.nodeIsUp();
      const operation = await course.ended(id);
      if (operation.state === 'done') {
        assert.doesNotMatch(await course.config(vmid), /^lock:/m);
        await course.succeeds(['container', 'destroy', VICTIM, '--yes']);
      } else assert.match(operation.problem?.code ?? '', /^PXM_/);
      assert.ok(await isGone(course, vmid));
    },
  },
  {
    title: 'is stopped and started again: guests run on, and what happened meanwhile is told',
    run: async (course) => {
      const vmid = course.vmid(0);
      const init = await toolText(course.target, 'lxc-info', '-n', vmid, '-p');
      await course.target.stopAgent();
      await toolText(course.target, 'pct', 'set', vmid, '--description', 'changed while nobody looked');
      await course.target.startAgent();
      await course.nodeIsUp();
      await course.waitFor('the change is known', async () =>
        (await course.container(WEB)).description.includes('nobody looked') ? true : undefined,
      );
      assert.equal(await course.status(vmid), 'status: running');
      assert.equal(await toolText(course.target, 'lxc-info', '-n', vmid, '-p'), init);
    },
  },
  {
    title: 'refuses an id that somebody took by hand, and does not touch that guest',
    run: async (course) => {
      const vmid = course.vmid(3);
      await course.succeeds(create(course, 3));
      const archive = (await toolText(course.target, 'pct', 'config', vmid)).length;
      await course.refused('PXM_VMID_TAKEN', create(course, 3));
      assert.equal((await toolText(course.target, 'pct', 'config', vmid)).length, archive);
      await toolText(course.target, 'pct', 'destroy', vmid);
      await course.waitFor('the fleet knows that it is gone', async () =>
        (await course.cli.json<unknown[]>(['container', 'list'])).length === 1 ? true : undefined,
      );
    },
  },
  {
    title: 'refuses a digest that the registry does not have, before anything is made',
    run: async (course) => {
      const name = course.stage.image.replace(/:[^:/]+$/, '');
      const text = await course.refused('PXM_IMAGE_NOT_FOUND', create(course, 4, `${name}@${ZEROS}`));
      assert.ok(text.includes(name));
      assert.ok(await isGone(course, course.vmid(4)));
    },
  },
  {
    title: 'refuses a device that the host does not have',
    run: async (course) => {
      const result = await course.cli.run([...create(course, 5), '--device', '/dev/pxmgr-no-such-device']);
      assert.notEqual(result.exitCode, 0, result.stdout);
      assert.ok(result.stderr.includes('/dev/pxmgr-no-such-device'), result.stderr);
      assert.ok(await isGone(course, course.vmid(5)));
    },
  },
];
