/** `pvesm add` and `set` beside what the recordings show (pve-storage src/PVE/API2/Storage/Config.pm). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeHost, type TestHost } from '../host.fixture.ts';
import { createPool } from '../pool/pools.ts';

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

it.each([
  [['dir', 'd2'], "missing value for required option 'path'"],
  [['dir', 'd2', '--path', '/mnt/d2', '--pool', 'x'], "unexpected property 'pool'"],
  [['dir', 'd2', '--path', '/mnt/a b'], 'illegal path for directory storage: /mnt/a b'],
  [
    ['dir', 'd2', '--path', '/mnt/d2', '--is_mountpoint', 'yes'],
    "create storage failed: unable to activate storage 'd2' - directory is expected to be a mount point but is not mounted: '/mnt/d2'",
  ],
  [
    ['dir', 'd2', '--path', '/mnt/d2', '--create-base-path', '0'],
    "create storage failed: unable to activate storage 'd2' - directory '/mnt/d2' does not exist or is unreachable",
  ],
  [['nfs', 'n1', '--server', '192.0.2.9'], "missing value for required option 'export'"],
  [['nfs', 'n1', '--server', '192.0.2.9', '--export', '/x'], "create storage failed: storage 'n1' is not online"],
  [['pbs', 'p1', '--server', '192.0.2.9'], "missing value for required option 'datastore'"],
])('add %j is refused and changes nothing', async (argv, text) => {
  const before = stored();
  expect((await node.run('pvesm', 'add', ...argv)).stderr).toBe(`${text}\n`);
  expect(stored()).toBe(before);
});

it('adds what is off, or on other nodes only, without a look at it', async () => {
  const away = ['add', 'dir', 'd2', '--path', '/mnt/d2/', '--is_mountpoint', 'yes', '--nodes', 'pve9'];
  expect(await node.run('pvesm', ...away)).toMatchObject({ status: 0, stderr: '' });
  const off = ['add', 'dir', 'd3', '--path', '/mnt/d3', '--content', 'iso', '--bwlimit', 'clone=10', '--disable', '1'];
  expect(await node.run('pvesm', ...off)).toMatchObject({ status: 0, stderr: '' });
  expect(stored()).toContain('dir: d2\n\tpath /mnt/d2\n\tis_mountpoint yes\n\tnodes pve9\n');
  expect(stored()).toContain('dir: d3\n\tdisable\n\tpath /mnt/d3\n\tbwlimit clone=10\n\tcontent iso\n');
});

it('keeps where the dataset of a new storage is mounted, and tells when that is elsewhere', async () => {
  createPool(node.host, { name: 'tank', sizeBytes: 2 ** 30 });
  await node.run('zfs', 'create', 'tank/data');
  await node.run('zfs', 'create', 'tank/data/subvol-100-disk-0');
  expect((await node.run('pvesm', 'add', 'zfspool', 'z1', '--pool', 'tank/data')).stderr).toBe('');
  expect(stored()).toContain('zfspool: z1\n\tpool tank/data\n\tmountpoint /tank/data\n');
  expect((await node.run('pvesm', 'add', 'zfspool', 'z2', '--pool', 'tank', '--mountpoint', '/x')).stderr).toBe(
    'warning for z2 - mountpoint: /x does not match current mount point: /tank\n',
  );
  expect((await node.run('pvesm', 'scan', 'zfs')).stdout).toBe('tank\ntank/data\n');
});

it('compares the digest of the file', async () => {
  const digest = createHash('sha1').update(stored()).digest('hex');
  expect((await node.run('pvesm', 'set', 'd1', '--shared', '1', '--digest', 'abc')).stderr).toBe(
    'update storage failed: detected modified configuration - file changed by other user? Try again.\n',
  );
  expect(await node.run('pvesm', 'set', 'd1', '--shared', '1', '--digest', digest)).toMatchObject({ status: 0 });
});

it.each([
  [['x/y.raw', '4M'], 2, "unable to parse volume filename 'x/y.raw'"],
  [['vm-300-disk-6', '4M'], 2, "unable to parse volume filename 'vm-300-disk-6'"],
  [
    ['subvol-300-disk-0.subvol', '4M'],
    2,
    "illegal name 'subvol-300-disk-0.subvol' - wrong extension for format ('subvol != 'raw')",
  ],
  [['subvol-300-disk-0.subvol', '4M', '--format', 'subvol'], 2, 'storage does not support subvol quotas'],
  [
    ['vm-300-disk-0.raw', '4M', '--format', 'qcow2'],
    255,
    '400 Parameter verification failed.\nformat: different storage formats (qcow2 != raw)\npvesm alloc <storage> <vmid> <filename> <size> [OPTIONS]',
  ],
])('alloc %j is refused', async (argv, status, text) => {
  expect(await node.run('pvesm', 'alloc', 'local', '300', ...argv)).toMatchObject({ status, stderr: `${text}\n` });
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
