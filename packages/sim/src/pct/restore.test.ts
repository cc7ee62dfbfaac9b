/** A container restored from a backup: texts and order as pve-container src/PVE/API2/LXC.pm create_vm has them. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHost, type TestHost } from '../host.fixture.ts';

const CONFIG = [
  'arch: amd64',
  'cores: 3',
  'hostname: old',
  'memory: 96',
  'mp0: local:200/vm-200-disk-1.raw,mp=/data,size=12M',
  'mp1: /srv,mp=/srv',
  'net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,type=veth',
  'ostype: unmanaged',
  'rootfs: local:200/vm-200-disk-0.raw,size=24M',
  'swap: 0',
  'unprivileged: 1',
].join('\n');
const BACKUP = 'vzdump-lxc-200-2026_01_02-03_04_05.tar.gz';

let at: TestHost;
beforeEach(() => {
  at = makeHost({
    storages: [
      { type: 'dir', id: 'local', options: { path: '/var/lib/vz', content: 'rootdir,vztmpl,backup' } },
      { type: 'dir', id: 'off', options: { path: '/off', content: 'rootdir,backup', disable: '1' } },
    ],
  });
  putBackup(CONFIG);
});
afterEach(() => at.remove());

function putBackup(config: string | undefined): void {
  const tree = mkdtempSync(join(tmpdir(), 'pxmgr-backup-'));
  for (const folder of ['etc/vzdump', 'sbin']) mkdirSync(join(tree, folder), { recursive: true });
  writeFileSync(join(tree, 'sbin/init'), 'init');
  if (config !== undefined) writeFileSync(join(tree, 'etc/vzdump/pct.conf'), `${config}\n`);
  mkdirSync(at.host.path('/var/lib/vz/dump'), { recursive: true });
  execFileSync('tar', ['-C', tree, '-czf', at.host.path(`/var/lib/vz/dump/${BACKUP}`), '.']);
  rmSync(tree, { recursive: true });
}

const configOf = (vmid: number): string => readFileSync(at.host.clusterPath(`nodes/pve1/lxc/${vmid}.conf`), 'utf8');
const restore = (...options: string[]): ReturnType<TestHost['run']> =>
  at.run('pct', 'restore', '210', `local:backup/${BACKUP}`, ...options);

describe('pct restore', () => {
  it('takes config and volumes from the backup; bind mounts come back when the files are in place', async () => {
    const { status, stdout, stderr } = await restore();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n').filter((line) => /recovering|restoring|extracting|merging/.test(line))).toEqual([
      `recovering backed-up configuration from 'local:backup/${BACKUP}'`,
      `restoring 'local:backup/${BACKUP}' now..`,
      `extracting archive '/var/lib/vz/dump/${BACKUP}'`,
      'merging backed-up and given configuration..',
    ]);
    const moved = CONFIG.replace('local:200/vm-200-disk-1', 'local:210/vm-210-disk-1');
    expect(configOf(210)).toBe(`${moved.replace('local:200/vm-200-disk-0', 'local:210/vm-210-disk-0')}\n`);
    const root = at.host.path('/var/lib/vz/images/210/vm-210-disk-0.raw');
    expect(existsSync(root)).toBe(true);
  });

  it('prefers what the call says, and makes new addresses when asked', async () => {
    expect(await restore('--memory', '64', '--rootfs', 'local:0.02', '--unique', '1')).toMatchObject({ status: 0 });
    const text = configOf(210);
    expect(text).toContain('memory: 64\n');
    expect(text).not.toContain('mp0:');
    expect(text).not.toContain('BC:24:11:00:00:01');
  });

  it('gives a restored template its base volumes', async () => {
    putBackup(`${CONFIG.replace(/^mp.*\n/gm, '')}\ntemplate: 1`);
    expect(await restore()).toMatchObject({ status: 0 });
    expect(configOf(210)).toMatch(/rootfs: local:210\/base-210-disk-0\.raw.*\n[^]*template: 1\n/);
  });

  it('replaces a stopped container with force only, and frees its volumes', async () => {
    await at.run('pct', 'create', '210', 'local:vztmpl/small_1_amd64.tar.gz', '--rootfs', 'local:0.02');
    expect(await restore()).toMatchObject({ status: 255, stderr: "CT 210 already exists on node 'pve1'\n" });
    expect(await restore('--force', '1')).toMatchObject({ status: 0, stderr: '' });
    expect(configOf(210)).toContain('local:210/vm-210-disk-1.raw,size=24M');
    expect(existsSync(at.host.path('/var/lib/vz/images/210/vm-210-disk-0.raw'))).toBe(false);
  });

  it.each([
    ['protection: 1', 'unable to restore CT 210 - protection mode enabled\n'],
    ['lock: backup', 'unable to restore CT 210 - CT is locked (backup)\n'],
  ])('leaves a container with %s alone', async (line, text) => {
    await at.run('pct', 'create', '210', 'local:vztmpl/small_1_amd64.tar.gz', '--rootfs', 'local:0.02');
    writeFileSync(at.host.clusterPath('nodes/pve1/lxc/210.conf'), `${configOf(210)}${line}\n`);
    expect(await restore('--force', '1')).toMatchObject({ status: 255, stderr: text });
    expect(configOf(210)).toContain(line);
  });

  it('leaves the container in place when the backup cannot be read', async () => {
    await at.run('pct', 'create', '210', 'local:vztmpl/small_1_amd64.tar.gz', '--rootfs', 'local:0.02');
    const before = configOf(210);
    putBackup(undefined);
    const { stderr } = await restore('--force', '1');
    expect(stderr).toBe('unable to restore CT 210 - ERROR: archive contains no configuration file\n');
    expect(configOf(210)).toBe(before);
  });

  it.each([
    ['local:vztmpl/x.tar.gz', "unable to use volume local:vztmpl/x.tar.gz - content type needs to be 'backup'\n"],
    ['/nowhere.tar', "unable to restore CT 210 - can't find file '/nowhere.tar'\n"],
    [`off:backup/${BACKUP}`, "unable to restore CT 210 - storage 'off' is disabled\n"],
    ['-', 'restore from pipe requires rootfs parameter\n'],
  ])('refuses %s', async (archive, text) => {
    expect(await at.run('pct', 'restore', '210', archive)).toMatchObject({ status: 255, stderr: text });
    expect(existsSync(at.host.clusterPath('nodes/pve1/lxc/210.conf'))).toBe(false);
  });
});

describe('pct create', () => {
  it.each([
    ['nowhere', "unable to create CT 210 - can't find file 'nowhere'\n"],
    ['off:vztmpl/x.tar.gz', "unable to create CT 210 - storage 'off' is disabled\n"],
  ])('cannot find %s', async (archive, text) => {
    expect(await at.run('pct', 'create', '210', archive)).toMatchObject({ status: 255, stderr: text });
  });

  it('looks for the id before it looks into the keys', async () => {
    await at.run('pct', 'create', '210', 'local:vztmpl/small_1_amd64.tar.gz', '--rootfs', 'local:0.02');
    writeFileSync(at.host.path('/root/bad.pub'), 'no key\n');
    const keys = ['--ssh-public-keys', '/root/bad.pub'];
    expect(await at.run('pct', 'create', '210', 'local:vztmpl/small_1_amd64.tar.gz', ...keys)).toMatchObject({
      stderr: "CT 210 already exists on node 'pve1'\n",
    });
  });
});

describe('pct set of a volume', () => {
  it('makes none on a storage that is off', async () => {
    await at.run('pct', 'create', '210', 'local:vztmpl/small_1_amd64.tar.gz', '--rootfs', 'local:0.02');
    const reason = "unable to apply pending change mp0 : storage 'off' is disabled\n";
    expect(await at.run('pct', 'set', '210', '--mp0', 'off:0.02,mp=/x')).toMatchObject({
      status: 255,
      stderr: `${reason}400 Parameter verification failed.\nmp0: ${reason}\npct set <vmid> [OPTIONS]\n`,
    });
  });

  it('stores a volume whose name cannot be read, and only says so', async () => {
    await at.run('pct', 'create', '210', 'local:vztmpl/small_1_amd64.tar.gz', '--rootfs', 'local:0.02');
    expect(await at.run('pct', 'set', '210', '--mp0', 'local:foo,mp=/x')).toMatchObject({
      status: 0,
      stderr: "Could not rescan volume size - unable to parse directory volume name 'foo'\n\n",
    });
    expect(configOf(210)).toContain('mp0: local:foo,mp=/x\n');
  });
});
