import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHost, type Ran, type TestHost } from '../host.fixture.ts';
import { createPool } from '../pool/pools.ts';

let node: TestHost;
beforeEach(async () => {
  node = makeHost({
    storages: [
      { id: 'local', type: 'dir', options: { path: '/var/lib/vz', content: 'images,rootdir,vztmpl' } },
      { id: 'zfs', type: 'zfspool', options: { pool: 'tank', content: 'images,rootdir' } },
    ],
  });
  createPool(node.host, { name: 'tank', sizeBytes: 2 ** 40 });
  expect(
    await qm(
      'create',
      '300',
      '--name',
      'one',
      '--memory',
      '128',
      '--scsi0',
      'zfs:0.1',
      '--net0',
      'virtio,bridge=vmbr0',
    ),
  ).toMatchObject({ status: 0, stderr: '' });
});
afterEach(() => node.remove());

const qm = (...args: string[]): Promise<Ran> => node.run('qm', ...args);
const config = (vmid: number): string =>
  readFileSync(node.host.path(`/etc/pve/qemu-server/${String(vmid)}.conf`), 'utf8');

describe('power', () => {
  it('is played: what runs has a pid, what is off is no error for stop and shutdown', async () => {
    expect((await qm('start', '300')).status).toBe(0);
    expect((await qm('status', '300')).stdout).toBe('status: running\n');
    expect(await qm('start', '300')).toMatchObject({ status: 255, stderr: 'VM 300 already running\n' });
    expect((await qm('list')).stdout).toMatch(/ 300 one +running +128 +0\.10 5000300 /);
    expect((await qm('reboot', '300')).status).toBe(0);
    expect((await qm('shutdown', '300')).status).toBe(0);
    expect(await qm('stop', '300')).toMatchObject({ status: 0, stderr: '' });
    expect(await qm('shutdown', '300')).toMatchObject({ status: 0, stderr: 'VM 300 not running\n\n' });
    const off = 'VM 300 not running\n';
    expect(await qm('reboot', '300')).toMatchObject({ status: 2, stderr: `${off}\n${off}` });
    expect(await qm('reset', '300')).toMatchObject({ status: 2, stderr: off });
    expect(await qm('destroy', '300')).toMatchObject({ status: 0 });
  });

  it.each([
    ['stop', 255, ''],
    ['shutdown', 255, 'MISSING\n'],
    ['reboot', 2, 'MISSING\n'],
    ['reset', 2, ''],
    ['suspend', 2, ''],
    ['resume', 2, ''],
  ])('%s of a VM that is not there is refused', async (word, status, before) => {
    const missing = "unable to find configuration file for VM 999 on node 'pve1'\n";
    expect(await qm(word, '999')).toMatchObject({
      status,
      stderr: before.replace('MISSING', missing.trim()) + (before === '' ? missing : `\n${missing}`),
    });
  });

  it('takes over at the next start what a running VM could not take', async () => {
    await qm('start', '300');
    expect((await qm('set', '300', '--cores', '4', '--tags', 'b')).stdout).toBe('update VM 300: -cores 4 -tags b\n');
    expect(config(300)).toContain('tags: b\n');
    expect(config(300)).toContain('\n[PENDING]\ncores: 4\n');
    expect((await qm('pending', '300')).stdout).toContain('new cores: 4\n');
    await qm('reboot', '300');
    expect(config(300)).toContain('cores: 4\n');
    expect(config(300)).not.toContain('PENDING');
  });
});

describe('snapshots', () => {
  it('are taken on what can have them, go back to the newest only, and are shown as a tree', async () => {
    expect((await qm('snapshot', '300', 'before', '--description', 'as it was')).status).toBe(0);
    await qm('set', '300', '--memory', '256');
    expect((await qm('snapshot', '300', 'later')).status).toBe(0);
    expect((await qm('listsnapshot', '300')).stdout).toMatch(
      /^`-> before .* as it was\n `-> later .*\n {2}`-> current /,
    );
    expect((await qm('rollback', '300', 'before')).stderr).toMatch(
      /^can't rollback, 'before' is not most recent snapshot on 'zfs:vm-300-disk-0'\n$/,
    );
    await qm('delsnapshot', '300', 'later');
    expect((await qm('rollback', '300', 'before')).status).toBe(0);
    expect(config(300)).toMatch(/^memory: 128$/m);
    expect(config(300)).not.toContain('lock');
    expect(await qm('rollback', '300', 'none')).toMatchObject({
      status: 255,
      stderr: "snapshot 'none' does not exist\n",
    });
  });
});

describe('clone and template', () => {
  it('gives the copy its own name, address and disk', async () => {
    expect((await qm('clone', '300', '301', '--full', '1')).stdout).toContain(
      'create full clone of drive scsi0 (zfs:vm-300-disk-0)\n',
    );
    const addressOf = (vmid: number): string => /virtio=([0-9A-F:]{17}),/i.exec(config(vmid))?.[1] ?? '';
    expect(addressOf(301)).toMatch(/^BC:24:11:/);
    expect(addressOf(301)).not.toBe(addressOf(300));
    expect(config(301)).toContain('name: Copy-of-VM-one\n');
    expect(config(301)).toContain('scsi0: zfs:vm-301-disk-0,');
    expect((await qm('clone', '300', '301')).stderr).toBe('unable to create VM 301: config file already exists\n');
  });

  it.each([
    [['--snapname', 'none'], "snapshot 'none' does not exist"],
    [['--full', '0', '--storage', 'zfs'], "parameter 'storage' not allowed for linked clones"],
    [['--target', 'nowhere'], "no such cluster node 'nowhere'"],
    [['--pool', 'none'], "403 Permission check failed (pool 'none' does not exist)"],
    [['--storage', 'none'], "storage 'none' does not exist"],
  ])('refuses %j and takes no id', async (argv, text) => {
    expect((await qm('clone', '300', '301', ...argv)).stderr).toBe(`${text}\n`);
    expect(() => config(301)).toThrow('ENOENT');
  });

  it('tells of a disk that is gone, and leaves nothing of the copy', async () => {
    await qm('set', '300', '--delete', 'scsi0');
    await qm('set', '300', '--scsi0', 'local:0.01');
    await node.run('pvesm', 'free', 'local:300/vm-300-disk-0.raw');
    const gone = "volume 'local:300/vm-300-disk-0.raw' does not exist\n";
    expect(await qm('clone', '300', '301')).toMatchObject({ status: 255, stderr: `clone failed: ${gone}` });
    expect(() => config(301)).toThrow('ENOENT');
    expect(await qm('resize', '300', 'scsi0', '+1M')).toMatchObject({ status: 0, stderr: gone });
    expect(await qm('template', '300')).toMatchObject({
      status: 0,
      stderr: "file_size_info on '300/vm-300-disk-0.raw' failed\n",
    });
    expect(config(300)).toContain('template: 1\n');
  });

  it('links to the base of a template, which never starts', async () => {
    expect((await qm('template', '300')).status).toBe(0);
    expect(config(300)).toContain('scsi0: zfs:base-300-disk-0,');
    expect((await qm('start', '300')).stderr).toBe("you can't start a vm if it's a template\n");
    expect((await qm('clone', '300', '302')).status).toBe(0);
    expect(config(302)).toContain('scsi0: zfs:base-300-disk-0/vm-302-disk-0,');
  });
});

describe('the other texts of VMs', () => {
  it('say VM, and some failures exit 0', async () => {
    await qm('set', '300', '--lock', 'backup');
    expect(await qm('start', '300')).toMatchObject({ status: 255, stderr: 'VM is locked (backup)\n' });
    expect((await qm('unlock', '300')).status).toBe(0);
    expect(await qm('unlock', '300')).toMatchObject({ status: 0, stderr: '' });
    expect(await qm('resize', '300', 'scsi0', '1M')).toMatchObject({
      status: 0,
      stderr: 'shrinking disks is not supported\n',
    });
    expect(await qm('resize', '300', 'scsi3', '+1M')).toMatchObject({
      status: 0,
      stderr: "disk 'scsi3' does not exist\n",
    });
    await qm('start', '300');
    expect(await qm('destroy', '300')).toMatchObject({ status: 255, stderr: 'VM 300 is running - destroy failed\n' });
  });

  it('refuse an id that a container has, and keep nothing of a disk that could not be made', async () => {
    const made = await qm('create', '303', '--scsi0', 'local:0.01', '--scsi1', 'local:0.01,format=subvol');
    expect(made.status).toBe(255);
    expect(existsSync(node.host.path('/var/lib/vz/images/303'))).toBe(false);
    expect(await qm('status', '303')).toMatchObject({ status: 2 });
  });
});

describe('what a call may ask', () => {
  it('creates without devices too: the boot order is then empty', async () => {
    expect(await qm('create', '310', '--tags', 'B;a')).toMatchObject({ status: 0, stderr: '' });
    expect(config(310)).toMatch(/^boot: \nmeta: /);
    expect(config(310)).toContain('tags: a;b\n');
    expect(await qm('create', '311', '--pool', 'none')).toMatchObject({
      status: 2,
      stderr: "403 Permission check failed (pool 'none' does not exist)\n",
    });
    expect(await qm('create', '311', '--ide2', 'local:iso/none.iso,media=cdrom')).toMatchObject({
      status: 255,
      stderr: "unable to create VM 311 - volume 'local:iso/none.iso' does not exist\n",
    });
  });

  it('boots from the first disk, the first CD drive and the first card', async () => {
    const options = ['--scsi1', 'local:0.01,ssd=1,discard=on', '--cdrom', 'none', '--net1', 'virtio,bridge=vmbr0'];
    expect((await qm('create', '312', ...options)).stdout).toContain(
      "scsi1: successfully created disk 'local:312/vm-312-disk-0.raw,discard=on,size=10486K,ssd=1'\n",
    );
    expect(config(312)).toMatch(/^boot: order=scsi1;ide2;net1\nide2: none,media=cdrom\n/);
  });

  it('keeps the volume of a drive that goes, and frees an unused one', async () => {
    expect(await qm('set', '300', '--delete', 'scsi0')).toMatchObject({ status: 0, stderr: '' });
    expect(config(300)).toContain('boot: order=net0\n');
    expect(config(300)).toContain('unused0: zfs:vm-300-disk-0\n');
    expect(await qm('unlink', '300', '--idlist', 'unused0')).toMatchObject({ status: 0, stderr: '' });
    expect(config(300)).not.toContain('unused0');
    expect((await node.run('zfs', 'list', '-H', '-o', 'name', '-r', 'tank')).stdout).toBe('tank\n');
  });

  it('makes a new disk, and keeps the one in its place', async () => {
    expect((await qm('set', '300', '--scsi0', 'zfs:0.1')).stdout).toBe(
      "update VM 300: -scsi0 zfs:0.1\nscsi0: successfully created disk 'zfs:vm-300-disk-1,size=104858K'\n",
    );
    expect(config(300)).toContain('scsi0: zfs:vm-300-disk-1,size=104858K\n');
    expect(config(300)).toContain('unused0: zfs:vm-300-disk-0\n');
  });

  const usage = '\nqm set <vmid> [OPTIONS]\n';
  it.each([
    [['--delete', 'foo'], `400 Parameter verification failed.\ndelete: unknown option 'foo'\n${usage}`],
    [
      ['--delete', 'cores', '--cores', '2'],
      `400 Parameter verification failed.\ndelete: you can't use '-cores' and -delete cores' at the same time\n${usage}`,
    ],
    [['--digest', 'abc', '--cores', '2'], 'checksum mismatch (file change by other user?)\n'],
    [['--scsi1', 'none:1'], "storage 'none' does not exist\n"],
    [['--boot', 'order=net9'], "invalid bootorder: device 'net9' does not exist'\n"],
    [['--scsi1', 'local:vztmpl/x.tar'], "scsi1: content type needs to be 'images' or 'iso'\n"],
  ])('refuses %j', async (options, text) => {
    const refused = await qm('set', '300', ...options);
    expect(refused.status).toBe(255);
    expect(refused.stderr.replace(/\n+/g, '\n')).toContain(text.replace(/\n+/g, '\n'));
  });

  it('needs a running VM to reset, pause or go on', async () => {
    for (const verb of ['reset', 'suspend', 'resume'])
      expect(await qm(verb, '300')).toMatchObject({ status: 2, stderr: 'VM 300 not running\n' });
    await qm('start', '300');
    for (const verb of ['reset', 'suspend', 'resume']) expect(await qm(verb, '300')).toMatchObject({ status: 0 });
  });
});

describe('what reaches into a VM, and moves of its disks', () => {
  it.each([
    ['guest cmd 300 ping', 255, 'No QEMU guest agent configured\n'],
    ['guest cmd 999 ping', 2, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist\n"],
    ['terminal 300', 255, 'unable to find a serial interface\n'],
    ['terminal 300 --iface serial1', 255, "serial interface 'serial1' is not configured\n"],
    ['sendkey 300 ctrl', 255, 'VM 300 not running\n'],
    ['wait 999', 0, ''],
    ['move_disk 300 scsi9 local', 255, "disk 'scsi9' does not exist\n"],
    ['disk move 300 scsi0 zfs', 255, "you can't move to the same storage with same format\n"],
    ['disk move 300 scsi0 nosuch', 255, "storage 'nosuch' does not exist\n"],
  ])('refuses %s', async (line, status, stderr) => {
    expect(await qm(...line.split(' '))).toEqual({ status, stdout: '', stderr });
  });
});
