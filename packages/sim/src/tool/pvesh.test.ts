/** `pvesh`: options of the path, answers in every form, folders (pve-manager PVE/CLI/pvesh.pm, pve-common src/PVE/CLIFormatter.pm). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';

let node: TestHost;
beforeAll(async () => {
  node = makeHost();
  await node.run('pct', 'create', '200', SMALL_TEMPLATE, '--rootfs', 'local:0.1', '--ostype', 'unmanaged');
});
afterAll(() => node.remove());

const usage = (command: string, needed = ''): string =>
  `pvesh ${command} <api_path> ${needed}[OPTIONS] [FORMAT_OPTIONS]\n`;
const wrong = (lines: string, of: string): string => `400 Parameter verification failed.\n${lines}${of}`;
const unknown = (option: string, of: string): string => `Unknown option: ${option}\n400 unable to parse option\n${of}`;

describe('a call that cannot be', () => {
  it.each([
    ['get', 255, `400 not enough arguments\n${usage('get')}`],
    ['get /version --foo 1', 255, unknown('foo', usage('get'))],
    ['get /nodes/pve1/lxc/200/config --vmid 200', 255, unknown('vmid', usage('get'))],
    ['get --output-format json /version', 1, "No 'get' handler defined for '--output-format'\n"],
    ['set /version', 1, "No 'set' handler defined for '/version'\n"],
    ['get /nodes/pve1/lxc/abc/config', 255, wrong("vmid: type check ('integer') failed - got 'abc'\n", usage('get'))],
    [
      'get /cluster/resources --type foo',
      255,
      wrong("type: value 'foo' does not have a value in the enumeration 'vm, storage, node, sdn'\n", usage('get')),
    ],
    ['get /cluster/nextid --vmid 200', 255, wrong('vmid: VM 200 already exists\n', usage('get'))],
    [
      'get /nodes/pve1/lxc/200/feature',
      255,
      wrong('feature: property is missing and it is not optional\n', usage('get', '--feature <string> ')),
    ],
    [
      'create /nodes/pve1/lxc --vmid 201',
      255,
      wrong(
        'ostemplate: property is missing and it is not optional\n',
        usage('create', '--ostemplate <string> --vmid <integer> '),
      ),
    ],
    ['ls /version', 255, "resource '/version' does not define child links\n"],
    ['ls /nosuch', 255, "no such resource '/nosuch'\n"],
    ['usage /nosuch', 255, "no such resource '/nosuch'\n"],
    ['get /nodes/pve1/lxc/200/snapshot/s1/config', 255, "snapshot 's1' does not exist\n"],
    ['get /nodes/pve1/lxc/200/config --snapshot s1', 255, "snapshot 's1' does not exist\n"],
  ])('%s', async (line, status, stderr) => {
    expect(await node.run('pvesh', ...line.split(' '))).toEqual({ status, stdout: '', stderr });
  });
});

describe('an answer', () => {
  const row = { cpu: 0, cpus: 4, disk: 0, maxmem: 536_870_912, maxswap: 536_870_912 };

  it('has the columns that its method names, and sizes as people read them', async () => {
    const { stdout } = await node.run('pvesh', 'get', '/nodes/pve1/lxc', '--noborder');
    expect(stdout.split('\n')[0]?.split(/ +/).slice(0, 5)).toEqual(['status', 'vmid', 'cpu', 'cpus', 'disk']);
    expect(stdout).toMatch(/^stopped {2}200 .* 0\.00 B .* 102\.00 MiB 512\.00 MiB/m);
    const plain = await node.run('pvesh', 'get', '/nodes/pve1/lxc', '--noborder', '--human-readable', '0');
    expect(plain.stdout).toMatch(/^stopped .* 536870912/m);
  });

  it('is JSON on one line or on many, or YAML', async () => {
    const ask = async (format: string): Promise<string> =>
      (await node.run('pvesh', 'get', '/nodes/pve1/lxc/200/feature', '--feature', 'copy', '--output-format', format))
        .stdout;
    expect(await ask('json')).toBe('{"hasFeature":1}\n');
    expect(await ask('json-pretty')).toBe('{\n   "hasFeature" : 1\n}\n');
    expect(await ask('yaml')).toBe('---\nhasFeature: 1\n');
    const rows = JSON.parse(
      (await node.run('pvesh', 'get', '/nodes/pve1/lxc', '--output-format', 'json')).stdout,
    ) as object[];
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ ...row, maxdisk: 106_954_752 });
  });

  it('is left out with --quiet, and before the command with --nooutput', async () => {
    expect((await node.run('pvesh', 'get', '/version', '--quiet')).stdout).toBe('');
    expect((await node.run('pvesh', '--nooutput', 'get', '/version')).stdout).toBe('');
  });
});

describe('a folder', () => {
  it.each([
    [
      '/',
      'Dr---        access\nDr---        cluster\nDr---        nodes\nDrwcd        pools\nDr-c-        storage\n-r---        version\n',
    ],
    ['/nodes', 'Dr---        pve1\n'],
    ['/cluster/ha', 'Dr-c-        groups\nDr-c-        resources\n-r-c-        rules\nDr---        status\n'],
    [
      '/nodes/pve1/storage/local/content',
      '-rwcd        local:200/vm-200-disk-0.raw\n-rwcd        local:vztmpl/small_1_amd64.tar.gz\n',
    ],
  ])('%s', async (path, stdout) => {
    expect(await node.run('pvesh', 'ls', path)).toEqual({ status: 0, stdout, stderr: '' });
  });

  it('of a node is told without asking it', async () => {
    const { stdout } = await node.run('pvesh', 'get', '/nodes/other', '--output-format', 'json');
    expect((JSON.parse(stdout) as { name: string }[]).map(({ name }) => name)).toContain('vzdump');
  });
});

describe('usage', () => {
  it('shows each method of the path', async () => {
    expect((await node.run('pvesh', 'usage', '/nodes/pve1/lxc/200/config')).stdout).toBe(
      'USAGE: pvesh get /nodes/pve1/lxc/200/config  [OPTIONS]\nUSAGE: pvesh set /nodes/pve1/lxc/200/config  [OPTIONS]\n',
    );
  });
});
