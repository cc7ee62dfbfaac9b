/** Changes of a container that exists and is stopped or runs. */
import assert from 'node:assert/strict';
import { CLONES } from './clones.ts';
import type { Course, Step } from './course.ts';
import { WEB } from './names.ts';
import { toolText } from './target.ts';

const SNAPSHOT = 'before';

/** Where a storage has no snapshots we must say so before Proxmox does; the host's own tool is the judge of that. */
async function refusal(course: Course): Promise<void> {
  await course.refused('PXM_SNAPSHOT_UNSUPPORTED', ['container', 'snapshot', 'create', WEB, SNAPSHOT]);
  const own = await course.target.tool('pct', 'snapshot', course.vmid(0), SNAPSHOT);
  assert.match(own.stderr, /snapshot feature is not available/);
}

async function roundTrip(course: Course): Promise<void> {
  const vmid = course.vmid(0);
  const listed = async (): Promise<string> => await toolText(course.target, 'pct', 'listsnapshot', vmid);
  assert.match(await listed(), /before/);
  assert.match(await course.succeeds(['container', 'snapshot', 'list', WEB]), /before/);
  await course.refused('PXM_SNAPSHOT_EXISTS', ['container', 'snapshot', 'create', WEB, SNAPSHOT]);
  await toolText(course.target, 'pct', 'set', vmid, '--memory', '640');
  await course.succeeds(['container', 'snapshot', 'rollback', WEB, SNAPSHOT, '--yes']);
  assert.match(await course.config(vmid), /^memory: 512$/m);
  assert.equal(await course.status(vmid), 'status: stopped');
  await course.succeeds(['container', 'snapshot', 'destroy', WEB, SNAPSHOT, '--yes']);
  assert.doesNotMatch(await listed(), /before/);
}

export const CHANGES: readonly Step[] = [
  {
    title: 'sets options that the host’s own tool shows',
    run: async (course) => {
      await course.succeeds(['container', 'set', WEB, '--memory', '576MiB', '--onboot', 'yes', '--tags', 'two,one']);
      const config = await course.config(course.vmid(0));
      assert.match(config, /^memory: 576$/m);
      assert.match(config, /^onboot: 1$/m);
      assert.match(config, /^tags: one;two$/m);
      await course.succeeds(['container', 'set', WEB, '--memory', '512MiB', '--onboot', 'no']);
      assert.match(await course.config(course.vmid(0)), /^memory: 512$/m);
    },
  },
  {
    title: 'takes a snapshot, goes back to it and removes it, or says why the storage cannot',
    run: async (course) => {
      await course.succeeds(['container', 'shutdown', WEB, '--force']);
      const made = await course.cli.run(['container', 'snapshot', 'create', WEB, SNAPSHOT]);
      if (made.exitCode === 0) await roundTrip(course);
      else await refusal(course);
      await course.succeeds(['container', 'start', WEB, '--ready', 'running']);
    },
  },
  ...CLONES,
  {
    title: 'gives it a device of the host and takes it back',
    run: async (course) => {
      const { device } = course.target.allowance;
      const line = new RegExp(`^dev\\d+: (?:path=)?${device},`, 'm');
      await course.succeeds(['container', 'shutdown', WEB, '--force']);
      await course.succeeds(['device', 'attach', WEB, '--path', device]);
      assert.match(await course.config(course.vmid(0)), line);
      await course.refused('PXM_DEVICE_ATTACHED', ['device', 'attach', WEB, '--path', device]);
      await course.succeeds(['container', 'start', WEB, '--ready', 'running']);
      if (course.target.isReal)
        await course.succeeds(['container', 'exec', WEB, '--', 'sh', '-c', `test -c ${device}`]);
      await course.succeeds(['container', 'shutdown', WEB, '--force']);
      await course.succeeds(['device', 'detach', WEB, '--path', device]);
      assert.doesNotMatch(await course.config(course.vmid(0)), line);
      await course.succeeds(['container', 'start', WEB, '--ready', 'running']);
    },
  },
];
