/** Clones of a container, and of a template. */
import assert from 'node:assert/strict';
import type { Course, Step } from './course.ts';
import { WEB } from './names.ts';
import { toolText } from './target.ts';

const COPY = 'pxmgr-test-copy';
const LINKED = 'pxmgr-test-linked';

/** Nothing of the source but its data, and nothing left behind on it. */
async function isItsOwn(course: Course, vmid: string): Promise<void> {
  const [source, copy] = [await course.config(course.vmid(0)), await course.config(vmid)];
  for (const pattern of [/PXMGR_GUEST=\S+/, /hwaddr=[0-9A-F:]+/, /^rootfs: [^,]+/m, /^mp0: [^,]+/m]) {
    const [own] = pattern.exec(copy) ?? [];
    assert.ok(own !== undefined, `${String(pattern)} in ${copy}`);
    assert.ok(!source.includes(own), own);
  }
  assert.match(copy, new RegExp(`^hostname: ${COPY}$`, 'm'));
  for (const config of [source, copy]) assert.doesNotMatch(config, /^lock:/m);
}

async function runs(course: Course): Promise<void> {
  await course.succeeds(['container', 'start', COPY, '--ready', 'running']);
  if (course.target.isReal)
    assert.match(await course.succeeds(['container', 'exec', COPY, '--', 'cat', '/data/history']), /^created\n/);
  await course.succeeds(['container', 'stop', COPY]);
}

/** Where a storage cannot link we must say so before Proxmox does; the host's own tool is the judge of that. */
async function linked(course: Course): Promise<void> {
  const [base, vmid] = [course.vmid(6), course.vmid(7)];
  await toolText(course.target, 'pct', 'template', base);
  await course.waitFor('the template is seen', async () =>
    (await course.container(COPY)).config['template'] === '1' ? true : undefined,
  );
  const made = await course.cli.run(['container', 'clone', COPY, LINKED, '--vmid', vmid]);
  if (made.exitCode === 0) {
    assert.match(await course.config(vmid), new RegExp(`^rootfs: \\S+:base\\S*-${base}-disk-\\d+/\\S+`, 'm'));
    await course.succeeds(['container', 'destroy', LINKED, '--yes']);
    return;
  }
  await course.refused('PXM_CLONE_UNSUPPORTED', ['container', 'clone', COPY, LINKED, '--vmid', vmid]);
  assert.match(
    (await course.target.tool('pct', 'clone', base, vmid)).stderr,
    /Linked clone feature .* is not available/,
  );
}

export const CLONES: readonly Step[] = [
  {
    title: 'clones it, and clones a template on top of its data or says why the storage cannot',
    run: async (course) => {
      await course.refused('PXM_GUEST_RUNNING', ['container', 'clone', WEB, COPY]);
      await course.succeeds(['container', 'shutdown', WEB, '--force']);
      await course.succeeds(['container', 'clone', WEB, COPY, '--vmid', course.vmid(6)]);
      await isItsOwn(course, course.vmid(6));
      await runs(course);
      await linked(course);
      await course.succeeds(['container', 'destroy', COPY, '--yes']);
      await course.succeeds(['container', 'start', WEB, '--ready', 'running']);
    },
  },
];
