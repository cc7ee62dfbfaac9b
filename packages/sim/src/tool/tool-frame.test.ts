/** What every tool does alike: aliases, help, secrets that are asked for (pve-common src/PVE/CLIHandler.pm, src/PVE/PTY.pm). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHost, type Ran, runTool, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';

let node: TestHost;
beforeEach(() => {
  node = makeHost();
});
afterEach(() => node.remove());

describe('another name of a command', () => {
  it.each([
    ['pvesm nfsscan', '400 not enough arguments\npvesm scan nfs <server>\n'],
    [
      'pct move_volume',
      '400 not enough arguments\npct move-volume <vmid> <volume> [<storage>] [<target-vmid>] [<target-volume>] [OPTIONS]\n',
    ],
  ])('%s', async (line, stderr) => {
    const [tool = '', ...argv] = line.split(' ');
    expect(await node.run(tool, ...argv)).toEqual({ status: 255, stdout: '', stderr });
  });
});

describe('help', () => {
  it('names one command, or all by their names', async () => {
    expect((await node.run('pct', 'help', 'start', '--verbose', '0')).stdout).toBe(
      'USAGE: pct start <vmid> [OPTIONS]\n\n',
    );
    const { stdout } = await node.run('pveam', 'help', '--verbose', '0');
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      'USAGE: pveam available  [OPTIONS]',
      '       pveam download <storage> <template>',
    ]);
  });

  it('of an unknown command shows them all', async () => {
    const { status, stderr } = await node.run('pvesm', 'help', 'foo');
    expect(status).toBe(255);
    expect(stderr).toMatch(/^ERROR: unknown command 'foo'\nUSAGE: pvesm <COMMAND> \[ARGS\] \[OPTIONS\]\n\n/);
  });
});

describe('a password without its value', () => {
  const create = (stdin: string): Promise<Ran> => {
    const argv = [
      'pct',
      'create',
      '200',
      SMALL_TEMPLATE,
      '--rootfs',
      'local:0.1',
      '--password',
      '--ostype',
      'unmanaged',
    ];
    return runTool(node.host, argv as [string, ...string[]], {
      stdin: (async function* () {
        yield Buffer.from(stdin);
      })(),
    });
  };
  it.each([
    ['secret1\nsecret1\n', 0, ''],
    ['secret1\nsecret2\n', 25, 'passwords do not match\n'],
    ['secret1\n', 25, 'EOF while reading password\n'],
    [
      'abc\nabc\n',
      255,
      '400 Parameter verification failed.\npassword: value must be at least 5 characters long\npct create <vmid> <ostemplate> [OPTIONS]\n',
    ],
  ])('is read twice: %j', async (stdin, status, stderr) => {
    expect(await create(stdin)).toMatchObject({ status, stderr });
  });
});

describe('the content of a storage for one guest', () => {
  it('leaves out templates, and keeps what belongs to nobody', async () => {
    await node.run('pct', 'create', '200', SMALL_TEMPLATE, '--rootfs', 'local:0.1', '--ostype', 'unmanaged');
    const { stdout } = await node.run('pvesm', 'list', 'local', '--vmid', '200');
    expect(stdout).toContain('local:200/vm-200-disk-0.raw');
    expect(stdout).not.toContain('vztmpl');
    expect((await node.run('pvesm', 'list', 'local')).stdout).toContain('vztmpl');
  });
});

describe('what a method finds wrong', () => {
  it('is told with the usage where a parameter is wrong, and without where a stored value is', async () => {
    await node.run('pct', 'create', '200', SMALL_TEMPLATE, '--rootfs', 'local:0.1', '--ostype', 'unmanaged');
    expect((await node.run('pvenode', 'task', 'log', 'foo')).stderr).toBe(
      '400 Parameter verification failed.\nupid: unable to parse worker upid\npvenode task log <upid> [OPTIONS]\n',
    );
    expect((await node.run('pct', 'resize', '200', 'mp0', '+1M')).stderr).toMatch(
      /^format error\nmp: property is missing/,
    );
  });
});
