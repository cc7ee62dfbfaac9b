/**
 * What an agent must be able to do on a host, as steps that build on each other. Each looks at the host with the host's
 * own tools too: what our programs say is not proof enough.
 */
import assert from 'node:assert/strict';
import { tarOf } from '@pxmgr/sim/oci/image-writer';
import { busyboxTree } from '../e2e/busybox-tree.ts';
import { CHANGES } from './changes.ts';
import type { Step } from './course.ts';
import { FAULTS } from './faults.ts';
import { WEB } from './names.ts';
import { toolText, tracesOf } from './target.ts';

const TINY = 'pxmgr-test-tiny';
const TINY_ARCHIVE = 'pxmgr-test-tiny_12.0_amd64.tar';
/** TEST-NET-2 (RFC 5737): nobody is there. */
const ADDRESS = '198.51.100.10/24';

interface ChangeView {
  readonly author: string;
  readonly fields: readonly { readonly path: string; readonly after: string }[];
}

const JOIN: readonly Step[] = [
  {
    title: 'joins with a one-time token and is seen with its Proxmox version',
    run: async (course) => {
      const { target, cli } = course;
      const token = (await cli.text(['node', 'token', 'create', '--node', target.name])).trim();
      await target.join(token);
      await target.startAgent();
      await course.nodeIsUp();
      assert.match(await cli.text(['node', 'get', target.name]), /^proxmox +\d+\.\d+/m);
    },
  },
];

const FROM_IMAGE: readonly Step[] = [
  {
    title: 'makes a container from an OCI image',
    run: async (course) => {
      const { target, stage } = course;
      const { storage, bridge } = target.allowance;
      const place = ['--node', target.name, '--vmid', course.vmid(0), '--storage', storage];
      const net = ['--net', `bridge=${bridge},ip=${ADDRESS}`];
      const rest = ['--env', 'GREETING=hello', '--rootfs', '1GiB', '--volume-size', '1GiB'];
      await course.succeeds(['container', 'create', stage.image, '--name', WEB, ...place, ...net, ...rest]);
      const config = await course.config(course.vmid(0));
      assert.match(config, /^entrypoint: \/usr\/local\/bin\/serve$/m);
      assert.match(config, /GREETING=hello/);
      assert.match(config, new RegExp(`^mp0: ${storage}:.*mp=/data`, 'm'));
      assert.match(config, /lxc\.environment\.hooks: PXMGR_GUEST=[0-9a-f]{32}/);
      assert.equal(await course.status(course.vmid(0)), 'status: stopped');
    },
  },
  {
    title: 'starts it and waits until its port answers',
    run: async (course) => {
      const probe = course.target.isReal ? 'http:8080/' : 'running';
      await course.succeeds(['container', 'start', WEB, '--ready', probe]);
      assert.equal(await course.status(course.vmid(0)), 'status: running');
    },
  },
  {
    title: 'runs programs in it, with their streams and exit status',
    run: async ({ target, cli }) => {
      if (!target.isReal) return;
      const script = 'cat; echo err >&2; exit 42';
      const result = await cli.run(['container', 'exec', WEB, '-i', '--', 'sh', '-c', script], { stdin: 'in\n' });
      assert.deepEqual([result.exitCode, result.stdout, result.stderr], [42, 'in\n', 'err\n']);
      assert.match(await cli.text(['container', 'exec', WEB, '--', 'cat', '/data/history']), /^created\n/);
    },
  },
  {
    title: 'sees what the host’s own tool changed, with its author',
    run: async (course) => {
      await toolText(course.target, 'pct', 'set', course.vmid(0), '--description', 'changed by hand');
      const row = await course.waitFor('the change is in the history', async () => {
        const rows = await course.cli.json<ChangeView[]>(['change', 'list', '--kind', 'container']);
        return rows.find(({ fields }) => fields.some(({ path, after }) => `${path} ${after}`.includes('by hand')));
      });
      assert.doesNotMatch(row.author, /^operator:/);
    },
  },
];

const FROM_TEMPLATE: readonly Step[] = [
  {
    title: 'makes, starts, enters and destroys a container from a template',
    run: async (course) => {
      const { target } = course;
      const volume = `${target.allowance.templateStorage}:vztmpl/${TINY_ARCHIVE}`;
      const path = (await toolText(target, 'pvesm', 'path', volume)).trim();
      await target.writeFile(path, await tarOf(busyboxTree()));
      try {
        await course.waitFor('the template is seen', async () =>
          (await course.cli.text(['image', 'list', '--templates'])).includes(TINY_ARCHIVE) ? true : undefined,
        );
        const place = ['--node', target.name, '--vmid', course.vmid(1), '--storage', target.allowance.storage];
        await course.succeeds(['container', 'create', volume, '--name', TINY, '--rootfs', '1GiB', ...place]);
        await course.succeeds(['container', 'start', TINY, '--ready', 'running']);
        if (target.isReal)
          assert.equal(await course.succeeds(['container', 'exec', TINY, '--', 'cat', '/etc/issue']), 'tiny\n');
        await course.succeeds(['container', 'destroy', TINY, '--force', '--yes']);
      } finally {
        await target.removeFile(path);
      }
      assert.notEqual((await target.tool('pct', 'config', course.vmid(1))).exitCode, 0);
    },
  },
];

const ENDS: readonly Step[] = [
  {
    title: 'refuses to destroy what runs, shuts down, starts, stops and destroys',
    run: async (course) => {
      await course.refused('PXM_GUEST_RUNNING', ['container', 'destroy', WEB, '--yes']);
      await course.succeeds(['container', 'shutdown', WEB, '--force']);
      assert.equal(await course.status(course.vmid(0)), 'status: stopped');
      await course.succeeds(['container', 'start', WEB, '--ready', 'running']);
      await course.succeeds(['container', 'stop', WEB]);
      assert.equal(await course.status(course.vmid(0)), 'status: stopped');
      await course.succeeds(['container', 'destroy', WEB, '--yes']);
    },
  },
  {
    title: 'has left no guest, volume or reservation',
    run: async ({ target, cli }) => {
      assert.deepEqual(await tracesOf(target), []);
      assert.deepEqual(await cli.json(['reservation', 'list']), []);
    },
  },
  {
    title: 'leaves the fleet',
    run: async ({ target, cli }) => {
      await cli.text(['node', 'leave', target.name, '--yes']);
      assert.deepEqual(await cli.json(['node', 'list']), []);
    },
  },
];

export const LIFE_CYCLE: readonly Step[] = [...JOIN, ...FROM_IMAGE, ...CHANGES, ...FROM_TEMPLATE, ...FAULTS, ...ENDS];
