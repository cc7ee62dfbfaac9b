import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { faultsOf, setFaults, setSwitches } from '../call/fault.ts';
import { makeHost, runTool, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';

let node: TestHost;
beforeEach(() => {
  node = makeHost();
});
afterEach(() => node.remove());

const pct = (...argv: string[]): ReturnType<TestHost['run']> => node.run('pct', ...argv);
const create = (vmid: number, ...more: string[]): ReturnType<TestHost['run']> =>
  pct('create', String(vmid), SMALL_TEMPLATE, '--rootfs', 'local:0.05', '--ostype', 'unmanaged', ...more);
const stored = (vmid: number): string => readFileSync(node.host.path(`/etc/pve/lxc/${vmid}.conf`), 'utf8');
const lastTask = (): string => readFileSync(node.host.path('/var/log/pve/tasks/active'), 'utf8').split('\n')[0] ?? '';

describe('create', () => {
  it('unpacks the template, fills in the defaults and stores canonical values', async () => {
    const made = await create(
      100,
      '--net0',
      'bridge=vmbr0,name=eth0,ip=dhcp',
      '--tags',
      'Zeta,alpha;beta alpha',
      '--mp0',
      'local:0.03,mp=/data,backup=yes',
    );
    expect(made.stderr).toBe('');
    expect(made.status).toBe(0);
    expect(stored(100).replace(/hwaddr=BC:24:11(?::[0-9A-F]{2}){3}/, 'hwaddr=MAC')).toBe(
      'arch: amd64\nhostname: CT100\nmemory: 512\nmp0: local:100/vm-100-disk-1.raw,mp=/data,backup=1,size=30M\n' +
        'net0: name=eth0,bridge=vmbr0,hwaddr=MAC,ip=dhcp,type=veth\nostype: unmanaged\nrootfs: local:100/vm-100-disk-0.raw,size=51M\n' +
        'swap: 512\ntags: alpha;beta;zeta\nunprivileged: 1\n',
    );
    expect(readFileSync(node.host.path('/var/lib/vz/.volumes/100/vm-100-disk-0.raw/etc/motd'), 'utf8')).toBe('hello\n');
    expect(lastTask()).toMatch(/^UPID:pve1:.*:vzcreate:100:root@pam: 1 [0-9A-F]{8} OK$/);
  });

  it('removes volume and config when it fails, with the error on stderr', async () => {
    const made = await pct('create', '101', 'local:vztmpl/none.tar.gz', '--rootfs', 'local:0.05');
    expect(made.status).toBe(255);
    expect(made.stderr).toBe("unable to create CT 101 - volume 'local:vztmpl/none.tar.gz' does not exist\n");
    expect(existsSync(node.host.path('/etc/pve/lxc/101.conf'))).toBe(false);
    expect(readdirSync(node.host.path('/var/lib/vz/images'))).toEqual([]);
    expect(lastTask()).toContain('1 ');
    expect(lastTask()).toContain("unable to create CT 101 - volume 'local:vztmpl/none.tar.gz' does not exist");
  });

  it.each([
    [['--rootfs', 'nosuch:1'], "storage 'nosuch' does not exist\n"],
    [['--mp0', 'local:1,mp=/x'], "mount points configured, but 'rootfs' not set - aborting\n"],
    [['--rootfs', 'nonsense'], "unable to parse volume ID 'nonsense'\n"],
    [['--dev0', '/dev/nosuch-device'], 'Device /dev/nosuch-device does not exist\n'],
  ])('refuses %j before any volume is made', async (more, text) => {
    const made = await pct('create', '102', SMALL_TEMPLATE, ...more);
    expect(made.stderr).toBe(text);
    expect(made.status).not.toBe(0);
    expect(existsSync(node.host.path('/etc/pve/lxc/102.conf'))).toBe(false);
  });

  it('cleans up when it is told to stop in the middle of unpacking', async () => {
    setFaults(node.host, [{ at: 'pct create', point: 'after-volume', do: 'hang' }]);
    const stop = new AbortController();
    const made = runTool(node.host, ['pct', 'create', '103', SMALL_TEMPLATE, '--rootfs', 'local:0.05'], {
      signal: stop.signal,
    });
    await expect.poll(() => faultsOf(node.host)[0]?.done).toBe(1);
    expect(readdirSync(node.host.path('/var/lib/vz/images'))).toEqual(['103']);
    stop.abort();
    const { status, stderr } = await made;
    expect(status).toBe(255);
    expect(stderr).toMatch(/^unable to create CT 103 - command '.* tar xpf - .*' failed: received interrupt\n$/s);
    expect(existsSync(node.host.path('/etc/pve/lxc/103.conf'))).toBe(false);
    expect(readdirSync(node.host.path('/var/lib/vz/images'))).toEqual([]);
  });
});

describe('set', () => {
  beforeEach(async () => {
    await create(110, '--mp0', 'local:0.01,mp=/data');
  });

  it('refuses an old digest', async () => {
    const refused = await pct('set', '110', '--cores', '1', '--digest', '0'.repeat(40));
    expect(refused.status).toBe(255);
    expect(refused.stderr).toMatch(/^detected modified configuration/);
  });

  it('applies at once what upstream can, and keeps the rest for the next start', async () => {
    await pct('start', '110');
    await pct('set', '110', '--memory', '256', '--features', 'nesting=1', '--hostname', 'new', '--delete', 'mp0');
    expect(stored(110)).toContain('hostname: new\nmemory: 256\nmp0: local:110/vm-110-disk-1.raw,mp=/data,size=10M\n');
    expect(stored(110)).toContain('\n[pve:pending]\ndelete: mp0\nfeatures: nesting=1\n');
    expect((await pct('config', '110')).stdout).not.toContain('mp0');
    expect((await pct('config', '110', '--current', '1')).stdout).toContain('mp0');
    await pct('stop', '110');
    await pct('start', '110');
    expect(stored(110)).not.toContain('[pve:pending]');
    expect(stored(110)).toContain('unused0: local:110/vm-110-disk-1.raw\n');
  });

  it('writes nothing when one option cannot be applied', async () => {
    await pct('start', '110');
    const before = stored(110);
    const refused = await pct('set', '110', '--cores', '2', '--net3', 'name=eth3,bridge=vmbr9');
    expect(refused.stderr).toBe(
      "400 Parameter verification failed.\nnet3: unable to hotplug net3: bridge 'vmbr9' does not exist\n\npct set <vmid> [OPTIONS]\n",
    );
    expect(stored(110)).toBe(before);
  });

  it('deletes the volume of an unused entry, and says so little about an absent one', async () => {
    await pct('set', '110', '--delete', 'mp0');
    expect(stored(110)).toContain('unused0');
    await pct('set', '110', '--delete', 'unused0');
    expect(existsSync(node.host.path('/var/lib/vz/images/110/vm-110-disk-1.raw'))).toBe(false);
    expect(await pct('set', '110', '--delete', 'unused0')).toEqual({
      status: 0,
      stdout: '',
      stderr: "cannot delete 'unused0' - not set in current configuration!\n",
    });
  });
});

describe('power', () => {
  beforeEach(async () => {
    await create(120);
  });

  it('shows a running guest where a node shows it', async () => {
    await pct('start', '120');
    expect(readFileSync(node.host.path('/proc/net/unix'), 'utf8')).toContain('@/var/lib/lxc/120/command\n');
    const pid = readFileSync(node.host.path('/sys/fs/cgroup/lxc/120/cgroup.procs'), 'utf8').trim();
    expect(existsSync(node.host.path(`/proc/${pid}/net/fib_trie`))).toBe(true);
    expect((await pct('start', '120')).stderr).toBe('CT 120 already running\n');
    await pct('stop', '120');
    expect(readFileSync(node.host.path('/proc/net/unix'), 'utf8')).not.toContain('/120/');
    expect(existsSync(node.host.path('/sys/fs/cgroup/lxc/120'))).toBe(false);
    expect((await pct('stop', '120')).stderr).toBe('CT 120 not running\n');
  });

  it('fails a shutdown that the guest ignores, and kills with forceStop', async () => {
    setSwitches(node.host, { ignoreHalt: [120], waitScale: 0.01 });
    await pct('start', '120');
    expect(await pct('shutdown', '120', '--timeout', '0')).toMatchObject({
      status: 255,
      stderr: 'container did not stop\n',
    });
    expect((await pct('shutdown', '120', '--timeout', '0', '--forceStop', '1')).status).toBe(0);
    expect((await pct('status', '120')).stdout).toBe('status: stopped\n');
  });

  it('rewrites the config after a stop only when asked to', async () => {
    setSwitches(node.host, { postStopRewriteMs: 1 });
    await pct('start', '120');
    const versionOf = (): number =>
      (
        JSON.parse(readFileSync(node.host.path('/etc/pve/.vmlist'), 'utf8')) as {
          ids: Record<string, { version: number }>;
        }
      ).ids['120']?.version ?? 0;
    const before = versionOf();
    await pct('stop', '120');
    expect(versionOf()).toBe(before + 1);
  });

  it('runs the hookscript and stops at a failing pre-start', async () => {
    const script = node.host.path('/var/lib/vz/snippets/hook.sh');
    writeFileSync(script, '#!/bin/sh\necho "$1 $2"\n[ "$2" != pre-start ] || exit 9\n', { mode: 0o755 });
    await pct('set', '120', '--hookscript', 'local:snippets/hook.sh');
    const started = await pct('start', '120');
    expect(started.status).toBe(255);
    expect(started.stderr).toContain(
      "hookscript error for 120 on pre-start: command '/var/lib/vz/snippets/hook.sh 120 pre-start' failed: exit code 9",
    );
    expect((await pct('status', '120')).stdout).toBe('status: stopped\n');
  });
});

describe('destroy', () => {
  it('refuses what is running, locked or protected, and takes unused volumes along', async () => {
    await create(130, '--mp0', 'local:0.01,mp=/data');
    await pct('set', '130', '--delete', 'mp0');
    await pct('start', '130');
    expect((await pct('destroy', '130')).stderr).toBe('unable to destroy CT 130 - container is running\n');
    await pct('stop', '130');
    await pct('set', '130', '--protection', '1');
    expect((await pct('destroy', '130')).stderr).toBe("can't remove CT 130 - protection mode enabled\n");
    await pct('set', '130', '--protection', '0', '--lock', 'backup');
    expect((await pct('destroy', '130')).stderr).toBe('CT is locked (backup)\n');
    await pct('unlock', '130');
    expect((await pct('unlock', '130')).stderr).toBe('no lock found trying to remove any lock\n');
    expect((await pct('destroy', '130')).status).toBe(0);
    expect(readdirSync(node.host.path('/var/lib/vz/images'))).toEqual([]);
    expect((await pct('list')).stdout).toBe('');
  });
});

describe('volumes of another container', () => {
  it('are renamed with an unused entry while the target runs', async () => {
    await create(140);
    await create(141);
    await pct('start', '140');
    const file = node.host.path('/etc/pve/lxc/141.conf');
    writeFileSync(file, stored(141).replace(/rootfs: ([^,\n]+).*\n/, 'unused0: $1\n'));
    const moved = await pct('move-volume', '141', 'unused0', '--target-vmid', '140', '--target-volume', 'unused3');
    expect(moved.stderr).toBe('');
    expect(stored(140)).toContain('unused3: local:140/vm-140-disk-1.raw\n');
    expect((await pct('destroy', '141')).status).toBe(0);
    expect(readFileSync(node.host.path('/var/lib/vz/.volumes/140/vm-140-disk-1.raw/etc/motd'), 'utf8')).toBe('hello\n');
  });
});

describe('cpu units', () => {
  it('keep to what the kernel takes: cgroup v2 has a most, v1 a least', async () => {
    await create(145);
    const kept = async (value: string): Promise<string | undefined> => {
      await pct('set', '145', '--cpuunits', value);
      return /^cpuunits: (.*)$/m.exec(stored(145))?.[1];
    };
    expect([await kept('0'), await kept('1'), await kept('500000')]).toEqual(['0', '1', '10000']);
    rmSync(node.host.path('/sys/fs/cgroup/cgroup.controllers'));
    expect([await kept('0'), await kept('500000')]).toEqual(['2', '500000']);
  });
});

describe('push and pull', () => {
  it('go through the running guest and exit 0 even when they fail', async () => {
    await create(150);
    writeFileSync(node.host.path('/root/file'), 'content\n');
    expect((await pct('push', '150', '/root/file', '/etc/file')).stderr).toBe('can only push files to a running CT\n');
    await pct('start', '150');
    expect(await pct('push', '150', '/root/file', '/etc/file', '--perms', '0600', '--user', 'app')).toMatchObject({
      status: 0,
      stderr: '',
    });
    mkdirSync(node.host.path('/root/back'));
    await pct('pull', '150', '/etc/file', '/root/back/file');
    expect(readFileSync(node.host.path('/root/back/file'), 'utf8')).toBe('content\n');
    expect(await pct('push', '150', '/root/none', '/etc/x')).toMatchObject({
      status: 0,
      stderr: 'failed to open /root/none for reading\n',
    });
  });

  it('tell of what cannot be opened in the words of the kernel', async () => {
    await create(150);
    writeFileSync(node.host.path('/root/file'), 'content\n');
    await pct('start', '150');
    const rows = [
      ['push /root/file /etc', 'failed to create file: /etc: Is a directory\n'],
      ['push /root/file /etc/motd/x', 'failed to create file: /etc/motd/x: Not a directory\n'],
      ['push /root/file /etc/x --perms 8', "invalid mode: '08'\n"],
      ['pull /etc/motd /root', 'failed to create file: /root: Is a directory\n'],
      ['pull /etc/motd /root/x --user nosuch', 'failed to get uid for: nosuch\n'],
      ['pull /etc/motd /root/x --group nosuch', 'failed to get gid for: nosuch\n'],
      ['pull /etc/motd/x /root/x', 'failed to open /etc/motd/x: Not a directory\n'],
    ] as const;
    for (const [line, stderr] of rows) {
      const [verb = '', ...rest] = line.split(' ');
      expect(await pct(verb, '150', ...rest)).toEqual({ status: 0, stdout: '', stderr });
    }
  });
});
