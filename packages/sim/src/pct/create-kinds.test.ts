/** create from OCI archives and on ZFS storages, with the day after: snapshots, rollback, resize. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { writeOciArchive } from '../oci/image-writer.ts';
import { createPool } from '../pool/pools.ts';

let node: TestHost;
beforeEach(() => {
  node = makeHost({
    storages: [
      { id: 'local', type: 'dir', options: { path: '/var/lib/vz', content: 'images,rootdir,vztmpl,snippets' } },
      { id: 'tank', type: 'zfspool', options: { pool: 'tank/data', content: 'images,rootdir' } },
    ],
  });
});
afterEach(() => node.remove());

const stored = (vmid: number): string => readFileSync(node.host.path(`/etc/pve/lxc/${vmid}.conf`), 'utf8');

describe('an OCI archive', () => {
  it('replaces entrypoint, environment and console mode, and brings its user', async () => {
    await writeOciArchive(node.host.path('/var/lib/vz/template/cache/app.tar'), {
      architecture: 'amd64',
      config: {
        Entrypoint: ['/bin/app'],
        Cmd: ['--port=80', "it's"],
        Env: ['A=1', 'B=two words'],
        User: 'app',
        WorkingDir: '/srv',
        Volumes: { '/data': {} },
        StopSignal: 'SIGINT',
      },
      layers: [
        [
          { path: 'etc', type: 'directory' },
          { path: 'etc/passwd', content: 'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n' },
          { path: 'etc/group', content: 'app:x:1001:\nvideo:x:44:app\nrender:x:104:app\n' },
        ],
      ],
    });
    const made = await node.run(
      'pct',
      'create',
      '105',
      'local:vztmpl/app.tar',
      '--rootfs',
      'local:0.05',
      '--net0',
      'name=eth0,bridge=vmbr0,ip=dhcp,hwaddr=BC:24:11:00:00:01',
      '--env',
      'A=mine',
    );
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect(made.stdout).toContain(
      'Detected OCI archive\ncreating base directory for volume at /data\nAuto-Enabling host-managed network for network device net0.\n',
    );
    expect(stored(105)).toBe(
      "arch: amd64\ncmode: console\nentrypoint: /bin/app '--port=80' 'it'\\''s'\nhostname: CT105\nmemory: 512\n" +
        'net0: name=eth0,bridge=vmbr0,host-managed=1,hwaddr=BC:24:11:00:00:01,ip=dhcp,type=veth\nostype: unmanaged\n' +
        'rootfs: local:105/vm-105-disk-0.raw,size=51M\nswap: 512\nunprivileged: 1\n' +
        'lxc.environment.runtime: A=1\nlxc.environment.runtime: B=two words\nlxc.init.uid: 1000\nlxc.init.gid: 1001\nlxc.init.groups: 44,104\n' +
        'lxc.init.cwd: /srv\nlxc.signal.halt: SIGINT\n',
    );
  });

  it('fails for an unknown distribution, and nothing stays', async () => {
    await writeOciArchive(node.host.path('/var/lib/vz/template/cache/odd.tar'), {
      architecture: 'amd64',
      config: {},
      layers: [
        [
          { path: 'etc', type: 'directory' },
          { path: 'etc/os-release', content: 'ID=wolfi\n' },
        ],
      ],
    });
    const made = await node.run('pct', 'create', '106', 'local:vztmpl/odd.tar', '--rootfs', 'local:0.05');
    expect(made.status).toBe(255);
    expect(made.stderr).toBe('unable to create CT 106 - unable to detect OS distribution\n');
    expect(readdirSync(node.host.path('/var/lib/vz/images'))).toEqual([]);
  });
});

describe('a ZFS storage', () => {
  const GIB = 1024 ** 3;
  beforeEach(async () => {
    createPool(node.host, { name: 'tank', sizeBytes: 100 * GIB });
    await node.run('zfs', 'create', 'tank/data');
    await node.run(
      'pct',
      'create',
      '110',
      SMALL_TEMPLATE,
      '--rootfs',
      'tank:8',
      '--ostype',
      'unmanaged',
      '--arch',
      'amd64',
    );
  });

  it('gets datasets with a quota, and grows them', async () => {
    expect(stored(110)).toContain('rootfs: tank:subvol-110-disk-0,size=8G\n');
    expect((await node.run('zfs', 'get', '-Hpo', 'value', 'refquota', 'tank/data/subvol-110-disk-0')).stdout).toBe(
      `${8 * GIB}\n`,
    );
    expect(await node.run('pct', 'resize', '110', 'rootfs', '+2G')).toMatchObject({ status: 0, stderr: '' });
    expect(stored(110)).toContain('rootfs: tank:subvol-110-disk-0,size=10G\n');
    expect((await node.run('pvesm', 'list', 'tank')).stdout).toContain(
      'tank:subvol-110-disk-0 subvol  rootdir   10737418240 110\n',
    );
  });

  it('takes snapshots and rolls back to the newest only', async () => {
    expect((await node.run('pct', 'snapshot', '110', 'before', '--description', 'two words')).status).toBe(0);
    await node.run('pct', 'set', '110', '--memory', '256');
    expect(stored(110)).toMatch(
      /^arch: amd64\n[\s\S]*memory: 256\n[\s\S]*parent: before\n[\s\S]*\n\[before\]\n#two words\n[\s\S]*memory: 512\n[\s\S]*snaptime: \d+\n/,
    );
    await node.run('pct', 'snapshot', '110', 'after');
    expect((await node.run('pct', 'rollback', '110', 'before')).stderr).toBe(
      "can't rollback, 'before' is not most recent snapshot on 'tank:subvol-110-disk-0'\n",
    );
    expect((await node.run('pct', 'delsnapshot', '110', 'after')).status).toBe(0);
    expect((await node.run('pct', 'rollback', '110', 'before')).status).toBe(0);
    expect(stored(110)).toMatch(/^arch: amd64\n[\s\S]*memory: 512\n[\s\S]*\[before\]/);
    const tree = (await node.run('pct', 'listsnapshot', '110')).stdout;
    const rows = tree.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, 'YYYY-MM-DD hh:mm:ss').split('\n');
    expect(rows).toEqual([
      `\`-> ${'before'.padEnd(27)} ${'YYYY-MM-DD hh:mm:ss'.padEnd(23)} two words`,
      ` \`-> ${'current'.padEnd(26)} ${''.padEnd(23)} You are here!`,
      '',
    ]);
  });

  it('refuses a snapshot when one mount point cannot take part', async () => {
    await node.run('pct', 'set', '110', '--mp0', '/etc,mp=/hostetc');
    expect((await node.run('pct', 'snapshot', '110', 'no')).stderr).toBe('snapshot feature is not available\n');
    expect(stored(110)).not.toContain('lock');
  });
});
