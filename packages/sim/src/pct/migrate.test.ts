import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setFaults } from '../call/fault.ts';
import { setSwitches } from '../call/switches.ts';
import { cutNode, healNode } from '../cluster/membership.ts';
import { readCluster } from '../cluster/pmxcfs.ts';
import { makeHost, type Ran, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { createPool } from '../pool/pools.ts';

let clusterDir: string;
let a: TestHost;
let b: TestHost;
beforeEach(() => {
  clusterDir = mkdtempSync(join(tmpdir(), 'pxmgr-cluster-'));
  [a, b] = ['pve1', 'pve2'].map((name, i) => makeHost({ name, clusterDir, ip: `192.0.2.${String(i + 1)}` })) as [
    TestHost,
    TestHost,
  ];
});
afterEach(() => {
  for (const node of [a, b]) node.remove();
  rmSync(clusterDir, { recursive: true, force: true });
});

const pct = (node: TestHost, ...args: string[]): Promise<Ran> => node.run('pct', ...args);
async function create(vmid: number, ...more: string[]): Promise<void> {
  const args = ['create', String(vmid), SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged', ...more];
  expect((await pct(a, ...args)).stderr).toBe('');
}
const image = (node: TestHost, vmid: number): string =>
  node.host.path(`/var/lib/vz/images/${String(vmid)}/vm-${String(vmid)}-disk-0.raw`);
const files = (node: TestHost, vmid: number): string =>
  node.host.path(`/var/lib/vz/.volumes/${String(vmid)}/vm-${String(vmid)}-disk-0.raw`);
/** Lines of a migration without their times. */
const said = (ran: Ran): string[] =>
  ran.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, '').replace(/\d\d:\d\d:\d\d/, '<t>'));
const aborted = (reason: string): string => `ERROR: migration aborted (duration <t>): ${reason}`;

describe('a stopped container', () => {
  it('takes its volumes and their files along, and its config by a rename', async () => {
    await create(100, '--mp0', 'local:0.02,mp=/data');
    writeFileSync(join(files(a, 100), 'mine.txt'), 'kept\n');
    const moved = await pct(a, 'migrate', '100', 'pve2');
    expect([moved.status, moved.stderr]).toEqual([0, '']);
    expect(said(moved)).toEqual([
      "starting migration of CT 100 to node 'pve2' (192.0.2.2)",
      "found local volume 'local:100/vm-100-disk-0.raw' (in current VM config)",
      "volume 'local:100/vm-100-disk-0.raw' is 'local:100/vm-100-disk-0.raw' on the target",
      "found local volume 'local:100/vm-100-disk-1.raw' (in current VM config)",
      "volume 'local:100/vm-100-disk-1.raw' is 'local:100/vm-100-disk-1.raw' on the target",
      'start final cleanup',
      'migration finished successfully (duration <t>)',
    ]);
    expect(readFileSync(join(files(b, 100), 'mine.txt'), 'utf8')).toBe('kept\n');
    expect([existsSync(image(a, 100)), existsSync(image(b, 100))]).toEqual([false, true]);
    expect(readCluster(a.host).guests['100']?.node).toBe('pve2');
    expect((await pct(b, 'config', '100')).stdout).not.toContain('lock');
    expect((await pct(b, 'start', '100')).status).toBe(0);
    expect((await pct(a, 'status', '100')).stderr).toBe(
      "Configuration file 'nodes/pve1/lxc/100.conf' does not exist\n",
    );
  });

  it('keeps a volume of a shared storage where it is', async () => {
    const shared = join(clusterDir, 'shared');
    await a.run('pvesm', 'add', 'dir', 'both', '--path', '/mnt/both', '--shared', '1', '--content', 'rootdir,images');
    mkdirSync(shared);
    await create(101, '--storage', 'both', '--rootfs', 'both:0.01');
    const moved = await pct(a, 'migrate', '101', 'pve2');
    expect(said(moved).filter((line) => line.includes('volume'))).toEqual([]);
    expect((await pct(b, 'config', '101')).stdout).toContain('rootfs: both:101/vm-101-disk-0.raw');
  });

  it('goes to the storage that is asked for', async () => {
    await a.run('pvesm', 'add', 'dir', 'other', '--path', '/mnt/other', '--content', 'rootdir,images');
    await create(102);
    expect((await pct(a, 'migrate', '102', 'pve2', '--target-storage', 'local:other')).status).toBe(0);
    expect((await pct(b, 'config', '102')).stdout).toContain('rootfs: other:102/vm-102-disk-0.raw');
  });
});

describe('a running container', () => {
  beforeEach(async () => {
    await create(110);
    await pct(a, 'start', '110');
  });

  it('goes in restart mode only', async () => {
    expect(await pct(a, 'migrate', '110', 'pve2')).toMatchObject({
      status: 255,
      stdout: '',
      stderr: "can't migrate running container without --online or --restart\n",
    });
    const online = await pct(a, 'migrate', '110', 'pve2', '--online', '1');
    expect([online.status, online.stderr]).toEqual([255, 'migration aborted\n']);
    expect(said(online)).toEqual([aborted('lxc live migration is currently not implemented')]);
    expect((await pct(a, 'status', '110')).stdout).toBe('status: running\n');
  });

  it('is shut down here and started there', async () => {
    const moved = await pct(a, 'migrate', '110', 'pve2', '--restart', '1');
    expect(moved.status).toBe(0);
    expect(said(moved)[0]).toBe('shutdown CT 110');
    expect(said(moved).at(-2)).toBe('start container on target node');
    expect((await pct(b, 'status', '110')).stdout).toBe('status: running\n');
  });

  it('runs here again when the copy fails, and nothing stays there', async () => {
    setFaults(a.host, [{ at: 'pct migrate', point: 'before-move', do: 'fail', message: 'the link is gone\n' }]);
    const moved = await pct(a, 'migrate', '110', 'pve2', '--restart', '1');
    expect([moved.status, moved.stderr]).toEqual([255, 'migration aborted\n']);
    expect(said(moved).slice(-2)).toEqual(['start container on source node', aborted('the link is gone')]);
    expect((await pct(a, 'status', '110')).stdout).toBe('status: running\n');
    expect((await pct(a, 'config', '110')).stdout).not.toContain('lock');
    expect([existsSync(image(a, 110)), existsSync(image(b, 110))]).toEqual([true, false]);
  });
});

describe('snapshots', () => {
  it('go along from pool to pool', async () => {
    for (const node of [a, b]) createPool(node.host, { name: 'tank', sizeBytes: 2 ** 30 });
    await a.run('pvesm', 'add', 'zfspool', 'tank', '--pool', 'tank', '--content', 'rootdir,images');
    await create(150, '--rootfs', 'tank:0.02');
    const root = '/tank/subvol-150-disk-0/mine.txt';
    writeFileSync(a.host.path(root), 'before\n');
    await pct(a, 'snapshot', '150', 's1');
    writeFileSync(a.host.path(root), 'after\n');
    expect(await pct(a, 'migrate', '150', 'pve2')).toMatchObject({ status: 0, stderr: '' });
    const list = ['list', '-H', '-t', 'all', '-o', 'name,refquota', '-r', 'tank'];
    expect((await a.run('zfs', ...list)).stdout).toBe('tank\tnone\n');
    expect((await b.run('zfs', ...list)).stdout).toBe(
      'tank\tnone\ntank/subvol-150-disk-0\t20M\ntank/subvol-150-disk-0@s1\t-\n',
    );
    expect(readFileSync(b.host.path(root), 'utf8')).toBe('after\n');
    expect(await pct(b, 'rollback', '150', 's1')).toMatchObject({ status: 0, stderr: '' });
    await b.run('zfs', 'mount', 'tank/subvol-150-disk-0'); // a rollback leaves it unmounted
    expect(readFileSync(b.host.path(root), 'utf8')).toBe('before\n');
  });
});

describe('a VM', () => {
  const qm = (node: TestHost, ...args: string[]): Promise<Ran> => node.run('qm', ...args);
  beforeEach(async () => {
    await a.run('pvesm', 'set', 'local', '--content', 'images,rootdir,vztmpl');
    expect(await qm(a, 'create', '160', '--scsi0', 'local:0.01')).toMatchObject({ status: 0 });
  });

  it('takes its disks along', async () => {
    const moved = await qm(a, 'migrate', '160', 'pve2', '--online', '1');
    expect([moved.status, moved.stderr]).toEqual([0, "VM isn't running. Doing offline migration instead.\n"]);
    expect(said(moved)[0]).toBe("starting migration of VM 160 to node 'pve2' (192.0.2.2)");
    expect([existsSync(image(a, 160)), existsSync(image(b, 160))]).toEqual([false, true]);
    expect((await qm(b, 'status', '160')).stdout).toBe('status: stopped\n');
  });

  it('moves while it runs with --online only', async () => {
    await qm(a, 'start', '160');
    expect((await qm(a, 'migrate', '160', 'pve2')).stderr).toBe("can't migrate running VM without --online\n");
    expect((await qm(a, 'migrate', '160', 'pve2', '--online', '1')).status).toBe(0);
    expect((await qm(b, 'status', '160')).stdout).toBe('status: running\n');
  });

  it('stays where it is when the other node cannot be reached', async () => {
    setSwitches(a.host, { noSsh: true });
    const refused = await qm(a, 'migrate', '160', 'pve2');
    expect([refused.status, refused.stderr]).toEqual([255, 'migration aborted\n']);
    expect(said(refused).at(-1)).toBe(aborted("Can't connect to destination address using public key"));
    expect((await qm(a, 'migrate', '160', 'pve1')).stderr).toContain('target: target is local node.\n');
    expect((await qm(a, 'migrate', '999', 'pve2')).stderr).toContain('999.conf');
    expect((await qm(a, 'status', '160')).stdout).toBe('status: stopped\n');
  });
});

describe('refusals', () => {
  it('of what cannot travel and of where it cannot go, before anything is done', async () => {
    mkdirSync(a.host.path('/srv/media'), { recursive: true });
    await create(120, '--mp0', '/srv/media,mp=/media');
    await create(121);
    await a.run('pvesm', 'add', 'dir', 'mine', '--path', '/mnt/mine', '--nodes', 'pve1', '--content', 'rootdir');
    await create(122, '--rootfs', 'mine:0.01');
    const self = await pct(a, 'migrate', '121', 'pve1');
    expect(self.stderr).toBe(
      '400 Parameter verification failed.\ntarget: target is local node.\npct migrate <vmid> <target> [OPTIONS]\n',
    );
    expect((await pct(a, 'migrate', '121', 'pve7')).stderr).toBe("no such cluster node 'pve7'\n");
    expect(said(await pct(a, 'migrate', '120', 'pve2'))).toEqual([
      aborted("cannot migrate local bind mount point 'mp0'"),
    ]);
    expect(said(await pct(a, 'migrate', '122', 'pve2'))).toEqual([
      aborted("storage 'mine' is not available on node 'pve2'"),
    ]);
    setSwitches(b.host, { waitScale: 0 });
    cutNode(b.host);
    expect(said(await pct(a, 'migrate', '121', 'pve2')).at(-1)).toBe(
      aborted("Can't connect to destination address using public key"),
    );
    expect((await pct(b, 'migrate', '121', 'pve1')).stderr).toBe('cluster not ready - no quorum?\n');
    healNode(b.host);
    expect((await pct(a, 'config', '121')).stdout).not.toContain('lock');
  });

  it('of a storage that takes no containers: before the task when it is asked for, else inside', async () => {
    await a.run('pvesm', 'add', 'dir', 'iso', '--path', '/mnt/iso', '--content', 'iso');
    await a.run('pvesm', 'add', 'dir', 'two', '--path', '/mnt/two', '--content', 'rootdir');
    await create(130, '--rootfs', 'two:0.01');
    for (const asked of ['iso', 'two:iso'])
      expect(await pct(a, 'migrate', '130', 'pve2', '--target-storage', asked)).toMatchObject({
        stdout: '',
        stderr: "storage 'iso' does not support CT rootdirs\n",
      });
    expect((await pct(a, 'migrate', '130', 'pve2', '--target-storage', 'none')).stderr).toBe(
      "storage 'none' does not exist\n",
    );
    await a.run('pvesm', 'set', 'two', '--content', 'iso');
    expect(said(await pct(a, 'migrate', '130', 'pve2'))).toEqual([
      aborted("content type 'rootdir' is not available on storage 'two'"),
    ]);
  });

  it('without quorum come before those of a node that is not there', async () => {
    await create(131);
    setSwitches(a.host, { noQuorum: true, waitScale: 0 });
    expect((await pct(a, 'migrate', '131', 'pve7')).stderr).toBe('cluster not ready - no quorum?\n');
  });
});

describe('a container that HA manages', () => {
  it('is moved by its manager: the tool only asks', async () => {
    await create(140);
    mkdirSync(a.host.clusterPath('ha'), { recursive: true });
    writeFileSync(a.host.clusterPath('ha/resources.cfg'), 'ct: 140\n\tstate stopped\n\n');
    expect(await pct(a, 'migrate', '140', 'pve2')).toEqual({
      status: 0,
      stdout: 'Requesting HA migration for CT 140 to node pve2\n',
      stderr: '',
    });
    expect(readFileSync(a.host.clusterPath('ha/crm_commands'), 'utf8')).toBe('migrate ct:140 pve2\n');
    expect(readCluster(a.host).guests['140']?.node).toBe('pve1');
  });
});
