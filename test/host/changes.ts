/** Changes of a container that exists and is stopped or runs. */
import assert from 'node:assert/strict';
import type { Course, Step } from './course.ts';
import { toolText } from './target.ts';

/** The container that the steps before have made, at the first id. */
export const WEB = 'pxmgr-test-web';
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
    title: 'takes a snapshot, goes back to it and removes it, or says why the storage cannot',
    run: async (course) => {
      await course.succeeds(['container', 'shutdown', WEB, '--force']);
      const made = await course.cli.run(['container', 'snapshot', 'create', WEB, SNAPSHOT]);
      if (made.exitCode === 0) await roundTrip(course);
      else await refusal(course);
      await course.succeeds(['container', 'start', WEB, '--ready', 'running']);
    },
  },
];
