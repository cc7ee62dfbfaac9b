/** `pvesm add` and `set` beside what the recordings show (pve-storage src/PVE/API2/Storage/Config.pm). */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeHost, type TestHost } from '../host.fixture.ts';

let node: TestHost;
beforeEach(async () => {
  node = makeHost();
  await node.run('pvesm', 'add', 'dir', 'd1', '--path', '/mnt/d1', '--content', 'rootdir');
});
afterEach(() => node.remove());

const stored = (): string => readFileSync(node.host.clusterPath('storage.cfg'), 'utf8');

it.each([
  [['--delete', 'nosuch'], "no such option 'nosuch'"],
  [['--delete', 'blocksize'], "no such option 'blocksize'"],
  [['--delete', 'path'], "unable to delete required option 'path'"],
  [['--delete', 'snapshot-as-volume-chain'], "unable to delete fixed option 'snapshot-as-volume-chain'"],
  [['--delete', 'content', '--content', 'iso'], "cannot set and delete property 'content' at the same time!"],
  [['--sparse', '1'], "unexpected property 'sparse'"],
  [['--content', 'none,iso'], "unable to combine 'none' with other content types"],
])('set %j is refused and changes nothing', async (argv, text) => {
  const before = stored();
  expect((await node.run('pvesm', 'set', 'd1', ...argv)).stderr).toBe(`update storage failed: ${text}\n`);
  expect(stored()).toBe(before);
});

it('takes options of another type for none at add', async () => {
  expect((await node.run('pvesm', 'add', 'dir', 'd2', '--path', '/mnt/d2', '--sparse', '1')).stderr).toBe(
    "unexpected property 'sparse'\n",
  );
  expect(stored()).not.toContain('d2');
});

it('leaves out content that the type cannot hold, and deletes what is optional', async () => {
  expect(await node.run('pvesm', 'set', 'd1', '--content', 'rootdir,vztmpl', '--shared', '1')).toMatchObject({
    status: 0,
    stderr: '',
  });
  expect(await node.run('pvesm', 'set', 'd1', '--delete', 'shared')).toMatchObject({ status: 0, stderr: '' });
  expect(stored()).toMatch(/dir: d1\n\tpath \/mnt\/d1\n\tcontent rootdir,vztmpl\n/);
  const pool = ['add', 'zfspool', 'z1', '--pool', 'rpool'];
  const added = await node.run('pvesm', ...pool, '--content', 'iso,vztmpl');
  expect(added.stderr).toBe(
    "storage does not support content type 'iso'\nstorage does not support content type 'vztmpl'\nstorage does not support content type 'none'\n",
  );
});
