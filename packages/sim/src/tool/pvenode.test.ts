import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { setFaults } from '../call/fault.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';

let node: TestHost = makeHost();
afterEach(() => {
  node.remove();
  node = makeHost();
});

const create = (...more: string[]): ReturnType<TestHost['run']> =>
  node.run('pct', 'create', '100', SMALL_TEMPLATE, '--rootfs', 'local:0.05', ...more);

describe('answers as text', () => {
  it('are tables with a border, numbers at the right', async () => {
    await create();
    const { stdout } = await node.run('pvenode', 'task', 'list');
    const [top, head, line, row, bottom] = stdout.split('\n');
    expect(top).toMatch(/^┌─+┬─+┬─+┬─+┬─+┬─+┬─+┐$/);
    expect(head).toMatch(/^│ UPID +│ Type +│ ID +│ User +│ +Starttime │ +Endtime │ Status │$/);
    expect(line).toMatch(/^╞═+╪/);
    expect(row).toMatch(/^│ UPID:pve1:\S+ │ vzcreate │ 100 │ root@pam │ [\d-]+ [\d:]+ │ [\d-]+ [\d:]+ │ OK +│$/);
    expect(bottom).toMatch(/^└─+┴/);
    const bare = await node.run('pvesh', 'get', '/version', '--noborder', '1', '--noheader', '1');
    expect(bare.stdout).toMatch(/^release \S+\nrepoid +\S+\nversion \S+\n$/);
  });
});

describe('paths of the API', () => {
  it('are listed with what can be done there', async () => {
    await create();
    const { stdout } = await node.run('pvesh', 'ls', '/nodes/pve1/lxc/100');
    expect(stdout).toContain('-rw--        config\n');
    expect(stdout).toContain('Dr-c-        snapshot\n');
  });

  it('are told apart: unknown to upstream, or not part of this stand-in', async () => {
    const unknown = await node.run('pvesh', 'get', '/nodes/pve1/nothing');
    expect(unknown).toMatchObject({ status: 1, stderr: "No 'get' handler defined for '/nodes/pve1/nothing'\n" });
    const missing = await node.run('pvesh', 'get', '/nodes/pve1/dns');
    expect(missing).toMatchObject({ status: 1, stderr: '/nodes/pve1/dns is not part of this stand-in\n' });
  });
});

describe('the list of tasks', () => {
  it('is narrowed down by how they ended, and by whose they are', async () => {
    await create();
    await node.run('pct', 'start', '999');
    const ask = async (...filter: string[]): Promise<string[]> => {
      const { stdout } = await node.run('pvesh', 'get', '/nodes/pve1/tasks', '--output-format', 'json', ...filter);
      return (JSON.parse(stdout) as { type: string }[]).map(({ type }) => type);
    };
    expect(await ask('--statusfilter', 'ok')).toEqual(['vzcreate']);
    expect(await ask('--statusfilter', 'error,WARNING')).toEqual(['vzstart']);
    expect(await ask('--statusfilter', 'ok', '--errors', '1')).toEqual(['vzstart']);
    expect(await ask('--userfilter', 'ROOT')).toEqual(['vzstart', 'vzcreate']);
    const refused = await node.run('pvenode', 'task', 'list', '--statusfilter', 'foo');
    expect(refused.stderr).toMatch(
      /^400 Parameter verification failed\.\nstatusfilter: invalid format - invalid status 'foo'\n/,
    );
  });

  it('is left by no task that has ended, nor by one that never was', async () => {
    await create();
    const upid = /UPID\S+/.exec((await node.run('pvenode', 'task', 'list')).stdout)?.[0] ?? '';
    expect(await node.run('pvesh', 'delete', `/nodes/pve1/tasks/${upid}`)).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect((await node.run('pvesh', 'delete', '/nodes/pve1/tasks/foo')).stderr).toBe(
      '400 Parameter verification failed.\nupid: unable to parse worker upid\npvesh delete <api_path> [OPTIONS] [FORMAT_OPTIONS]\n',
    );
  });
});

describe('pvecm', () => {
  it('needs a cluster', async () => {
    const { status, stderr } = await node.run('pvecm', 'status');
    expect(status).toBe(255);
    expect(stderr).toMatch(/^Error: Corosync config .* is this node part of a cluster\?\n$/);
  });
});

describe('a create', () => {
  it('says OK when only its tar was killed', async () => {
    setFaults(node.host, [{ at: 'pct create', point: 'mid-extract', do: 'die-tar' }]);
    const { status, stdout } = await create();
    expect(status).toBe(0);
    expect(stdout).not.toContain('Total bytes read');
  });

  it('writes what is not ASCII as one byte a character where that can be', async () => {
    await create('--env', 'A=ü');
    const file = readFileSync(node.host.path('/etc/pve/lxc/100.conf'));
    expect(file.includes(Buffer.from('A=\u00fc\n', 'latin1'))).toBe(true);
    await node.run('pct', 'set', '100', '--env', 'A=\u4e16');
    expect(readFileSync(node.host.path('/etc/pve/lxc/100.conf'), 'utf8')).toContain('A=\u4e16\n');
  });
});
