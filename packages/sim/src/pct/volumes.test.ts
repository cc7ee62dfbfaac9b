/**
 * Snapshots, copies, templates and moves beside what the recordings show (pve-guest-common src/PVE/AbstractConfig.pm,
 * pve-container src/PVE/API2/LXC.pm and src/PVE/LXC/Config.pm).
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHost, type Ran, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { createPool } from '../pool/pools.ts';

const MIB = 1024 ** 2;
let node: TestHost;
beforeEach(async () => {
  node = makeHost({
    storages: [
      { id: 'local', type: 'dir', options: { path: '/var/lib/vz', content: 'images,rootdir,vztmpl,snippets' } },
      { id: 'tank', type: 'zfspool', options: { pool: 'tank', content: 'images,rootdir' } },
    ],
  });
  createPool(node.host, { name: 'tank', sizeBytes: 512 * MIB });
});
afterEach(() => node.remove());

const pct = (...argv: string[]): Promise<Ran> => node.run('pct', ...argv);
const stored = (vmid: number): string => readFileSync(node.host.clusterPath('nodes/pve1/lxc', `${vmid}.conf`), 'utf8');
const snapshots = async (): Promise<string> =>
  (await node.run('zfs', 'list', '-H', '-o', 'name', '-t', 'snapshot')).stdout;
const create = (vmid: number, storage: string): Promise<Ran> =>
  pct(
    ...['create', String(vmid), SMALL_TEMPLATE, '--ostype', 'unmanaged'],
    ...['--rootfs', `${storage}:0.05`, '--mp0', `${storage}:0.02,mp=/d`],
  );

describe('a snapshot', () => {
  beforeEach(() => create(100, 'tank'));

  it('that fails at the second volume leaves the first as it was', async () => {
    await node.run('zfs', 'snapshot', 'tank/subvol-100-disk-1@s1');
    const before = stored(100);
    expect(await pct('snapshot', '100', 's1')).toEqual({
      status: 255,
      stdout: 'snapshot create failed: starting cleanup\n',
      stderr: "zfs error: cannot create snapshot 'tank/subvol-100-disk-1@s1': dataset already exists \n",
    });
    expect(await snapshots()).toBe('tank/subvol-100-disk-1@s1\n');
    expect(stored(100)).toBe(before);
  });

  it('whose second volume cannot lose it has lost the first, also in the config', async () => {
    await pct('snapshot', '100', 's1');
    await node.run('zfs', 'hold', 'tag', 'tank/subvol-100-disk-1@s1');
    expect(await pct('delsnapshot', '100', 's1')).toMatchObject({ status: 255 });
    const [, section = ''] = stored(100).split('[s1]\n');
    expect(section).not.toContain('rootfs');
    expect(section).toContain('snapstate: delete\n');
    expect(section).toContain('unused0: tank:subvol-100-disk-0\n');
    expect(stored(100)).toContain('lock: snapshot-delete\n');
    expect((await pct('unlock', '100')).status).toBe(0);
    expect(await pct('delsnapshot', '100', 's1', '--force', '1')).toMatchObject({ status: 0 });
    expect(stored(100)).not.toContain('[s1]');
  });

  it('that ZFS has no more cannot be gone back to, and no lock stays', async () => {
    await pct('snapshot', '100', 's1');
    await node.run('zfs', 'destroy', 'tank/subvol-100-disk-1@s1');
    expect(await pct('rollback', '100', 's1')).toMatchObject({
      status: 255,
      stderr: "can't rollback, snapshot 's1' does not exist on 'tank:subvol-100-disk-1'\n",
    });
    expect(stored(100)).not.toContain('lock:');
  });

  it('starts the guest again inside its own task', async () => {
    await pct('snapshot', '100', 's1');
    await pct('start', '100');
    expect(await pct('rollback', '100', 's1', '--start', '1')).toMatchObject({ status: 0 });
    const [first = '', second = ''] = readFileSync(node.host.path('/var/log/pve/tasks/index'), 'utf8')
      .trim()
      .split('\n')
      .slice(-2);
    expect([first.split(':')[5], second.split(':')[5]]).toEqual(['vzstart', 'vzrollback']);
  });

  it('keeps a mount point that goes, and its volume is unused all the same', async () => {
    await pct('snapshot', '100', 's1');
    await pct('set', '100', '--delete', 'mp0');
    expect(stored(100).split('[s1]')[0]).toContain('unused0: tank:subvol-100-disk-1\n');
  });

  it.each(['delsnapshot', 'rollback'])('on a storage that is off: %s changes nothing', async (verb) => {
    await pct('snapshot', '100', 's1');
    const before = stored(100);
    await node.run('pvesm', 'set', 'tank', '--disable', '1');
    expect(await pct(verb, '100', 's1')).toMatchObject({ status: 255, stderr: "storage 'tank' is disabled\n" });
    expect(stored(100)).toBe(before);
  });
});

describe('a clone', () => {
  beforeEach(() => create(100, 'local'));

  it('of a guest that is no template is not linked when that is asked for', async () => {
    expect(await pct('clone', '100', '101', '--full', '0')).toMatchObject({
      status: 2,
      stderr: "Linked clone feature for 'local:100/vm-100-disk-1.raw' is not available\n",
    });
    expect(existsSync(node.host.clusterPath('nodes/pve1/lxc/101.conf'))).toBe(false);
    expect(stored(100)).not.toContain('lock:');
  });

  it('to an id that is taken tells so once', async () => {
    expect(await pct('clone', '100', '100')).toMatchObject({
      status: 255,
      stderr: "CT 100 already exists on node 'pve1'\n",
    });
    expect(stored(100)).not.toContain('lock:');
  });

  it('to a node or into a pool that is not there', async () => {
    expect((await pct('clone', '100', '101', '--target', 'pve9')).stderr).toBe("no such cluster node 'pve9'\n");
    expect((await pct('clone', '100', '101', '--pool', 'p9')).stderr).toContain("(pool 'p9' does not exist)");
  });

  it('takes protection, firewall and place in a pool along, and a destroy leaves nothing in the pool', async () => {
    writeFileSync(node.host.clusterPath('user.cfg'), 'pool:p1::7:\nacl:1:/vms/101:x@pve:PVEAdmin:\n');
    mkdirSync(node.host.clusterPath('firewall'), { recursive: true });
    writeFileSync(node.host.clusterPath('firewall/100.fw'), '[OPTIONS]\n');
    await pct('set', '100', '--protection', '1');
    expect(await pct('clone', '100', '101', '--pool', 'p1')).toMatchObject({ status: 0 });
    expect(stored(101)).toContain('protection: 1\n');
    expect(readFileSync(node.host.clusterPath('firewall/101.fw'), 'utf8')).toBe('[OPTIONS]\n');
    expect(readFileSync(node.host.clusterPath('user.cfg'), 'utf8')).toContain('pool:p1::7,101:\n');
    await pct('set', '101', '--protection', '0');
    await pct('destroy', '101');
    expect(readFileSync(node.host.clusterPath('user.cfg'), 'utf8')).toBe('pool:p1::7:\n');
  });

  it('that fails says so, and takes back what it made', async () => {
    await node.run('zfs', 'create', '-V', '1m', 'tank/fill');
    await node.run('zpool', 'export', 'tank');
    const made = await pct('clone', '100', '101', '--storage', 'tank');
    expect(made).toMatchObject({ status: 255 });
    expect(made.stderr).toMatch(/^clone failed: zfs error: /);
    expect(existsSync(node.host.clusterPath('nodes/pve1/lxc/101.conf'))).toBe(false);
    expect(stored(100)).not.toContain('lock:');
  });
});

describe('a template', () => {
  it('is not made of a guest that runs', async () => {
    await create(100, 'local');
    await pct('start', '100');
    expect(await pct('template', '100')).toMatchObject({
      status: 255,
      stderr: "you can't convert a CT to template if the CT is running\n",
    });
  });

  it('of a linked clone keeps the name of its own base', async () => {
    await create(100, 'tank');
    await pct('template', '100');
    await pct('clone', '100', '101');
    await pct('template', '101');
    expect(stored(101)).toContain('rootfs: tank:basevol-100-disk-0/basevol-101-disk-0,size=51M\n');
    expect(
      (await node.run('zfs', 'get', '-Hp', '-o', 'value', 'pve-storage:refquota', 'tank/basevol-101-disk-0@__base__'))
        .stdout,
    ).toBe('53477376\n');
    expect((await pct('clone', '101', '102', '--storage', 'local')).stderr).toBe(
      "parameter 'storage' not allowed for linked clones\n",
    );
  });
});

describe('a move', () => {
  it.each([
    [
      'local',
      '/var/lib/vz/images/110/vm-110-disk-1.raw',
      "rename '/var/lib/vz/images/110/vm-110-disk-1.raw' to '/var/lib/vz/images/101/vm-101-disk-0.raw' failed - No such file or directory\n",
    ],
    ['tank', undefined, "zfs error: cannot open 'tank/subvol-110-disk-1': dataset does not exist\n"],
  ])('to another container of a volume that is gone from %s changes no config', async (storage, file, text) => {
    await create(110, storage);
    writeFileSync(node.host.clusterPath('nodes/pve1/lxc/101.conf'), 'arch: amd64\nmemory: 64\nostype: unmanaged\n');
    if (file === undefined) await node.run('zfs', 'destroy', 'tank/subvol-110-disk-1');
    else rmSync(node.host.path(file));
    const before = [stored(110), stored(101)];
    const moved = await pct('move-volume', '110', 'mp0', '--target-vmid', '101');
    expect(moved.stderr.trim()).toBe(text.trim());
    expect([stored(110), stored(101)]).toEqual(before);
  });

  beforeEach(() => create(100, 'tank'));

  it.each([
    [['unused0', 'local'], "cannot move volume 'unused0', only configured volumes can be moved to another storage\n"],
    [['rootfs', 'local', '--delete', '1'], "you can't move a volume with snapshots and delete the source\n"],
  ])('of %j is refused', async (words, text) => {
    await pct('snapshot', '100', 's1');
    expect(await pct('move-volume', '100', ...words)).toMatchObject({ status: 255, stderr: text });
    expect(stored(100)).not.toContain('lock:');
  });

  it('of a path fails in its task, and nothing stays locked', async () => {
    await pct('set', '100', '--mp1', '/etc,mp=/e');
    expect(await pct('move-volume', '100', 'mp1', 'local')).toMatchObject({
      status: 255,
      stderr: "unable to parse volume ID '/etc'\n",
    });
    expect(stored(100)).not.toContain('lock:');
  });
});

describe('care', () => {
  it('shows the space of what lies below volumes without a limit and bind mounts', async () => {
    mkdirSync(node.host.path('/srv'), { recursive: true });
    await pct('create', '120', SMALL_TEMPLATE, '--ostype', 'unmanaged', '--rootfs', 'local:0', '--mp0', '/srv,mp=/s');
    await pct('set', '120', '--mp1', 'tank:0,mp=/t');
    const { status, stdout } = await pct('df', '120');
    expect(status).toBe(0);
    const row = String.raw` +[\d.]+[GT] +[\d.]+[KMGT]? +[\d.]+[MGT] +[\d.]+ `;
    expect(stdout).toMatch(new RegExp(`^rootfs local:120/subvol-120-disk-0.subvol${row}/$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^mp0 +/srv${row}/s$`, 'm'));
    expect(stdout).toMatch(/^mp1 +tank:subvol-120-disk-0 +3\d\d\.\dM +[\d.]+K? +3\d\d\.\dM +0\.0 \/t$/m);
  });

  it('checks a volume of a stopped guest only', async () => {
    await create(100, 'local');
    await pct('set', '100', '--mp1', '/etc,mp=/e');
    expect((await pct('fsck', '100', '--device', 'mp9')).stderr).toBe(
      'cannot run command on non-existing mount point mp9\n',
    );
    expect((await pct('fsck', '100', '--device', 'mp1')).stderr).toBe("path '/etc' does not point to a block device\n");
    await pct('start', '100');
    expect((await pct('fsck', '100')).stderr).toBe('cannot run fsck when container is running\n');
  });

  it('takes volumes that no config names for unused ones, and sizes as they are', async () => {
    await create(100, 'tank');
    await node.run('zfs', 'create', '-o', 'refquota=1m', 'tank/subvol-100-disk-7');
    await node.run('zfs', 'set', 'refquota=64m', 'tank/subvol-100-disk-0');
    const text =
      "CT 100: add unreferenced volume 'tank:subvol-100-disk-7' as 'unused0' to config.\nCT 100: updated volume size of 'tank:subvol-100-disk-0' in config.\n";
    expect((await pct('rescan', '--dryrun', '1')).stdout).toBe(
      `NOTE: running in dry-run mode, won't write changes out!\nrescan volumes...\n${text}`,
    );
    expect(stored(100)).not.toContain('unused0');
    expect((await pct('rescan', '--vmid', '100')).stdout).toBe(`rescan volumes...\n${text}`);
    expect(stored(100)).toContain('rootfs: tank:subvol-100-disk-0,size=64M\n');
    expect(stored(100)).toContain('unused0: tank:subvol-100-disk-7\n');
  });

  it('trims what is no bind mount, as far as the file system can', async () => {
    await create(100, 'local');
    await pct('set', '100', '--mp1', '/etc,mp=/e');
    expect((await pct('fstrim', '100')).stdout.replace(/: \d.*/g, '')).toBe(
      '/var/lib/lxc/100/rootfs/\n/var/lib/lxc/100/rootfs/d\n',
    );
    expect((await pct('fstrim', '100', '--ignore-mountpoints', '1')).stdout.replace(/: \d.*/g, '')).toBe(
      '/var/lib/lxc/100/rootfs/\n',
    );
  });

  it('says when no container runs', async () => {
    expect(await pct('cpusets')).toEqual({ status: 0, stdout: 'no running containers\n', stderr: '' });
  });

  it('grows only volumes of the guest itself', async () => {
    await create(100, 'tank');
    await node.run('zfs', 'create', '-o', 'refquota=1m', 'tank/subvol-101-disk-0');
    await pct('set', '100', '--mp1', 'tank:subvol-101-disk-0,mp=/x');
    expect((await pct('resize', '100', 'mp1', '+1M')).stderr).toBe(
      "can't resize mount point owned by another container (101) at /usr/share/perl5/PVE/API2/LXC.pm line 2386.\n",
    );
  });
});
