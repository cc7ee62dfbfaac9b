import { existsSync, readFileSync } from 'node:fs';
import type { Command, Runner } from '@pxmgr/kit/exec/command';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { faultsOf, setFaults } from '../call/fault.ts';
import { machineRunner } from '../host/machine.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { createInProcessRunner } from './in-process.ts';

let node: TestHost;
let runner: Runner;
beforeEach(() => {
  node = makeHost();
  runner = createInProcessRunner(node.host, { fallback: machineRunner() });
});
afterEach(() => node.remove());

const command = (file: string, args: string[], more: Partial<Command> = {}): Command => ({
  file,
  args,
  purpose: 'test',
  timeoutMs: 30_000,
  ...more,
});
const CREATE = ['create', '100', SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged'];

describe('in-process door', () => {
  it('runs a tool of the host and streams its lines', async () => {
    const lines: string[] = [];
    const made = await runner.run(command('pct', CREATE), {
      onLine: (stream, line) => lines.push(`${stream} ${line}`),
    });
    expect(made).toMatchObject({ exitCode: 0, signal: null, timedOut: false, cancelled: false });
    expect(lines).toContain("out extracting archive '/var/lib/vz/template/cache/small_1_amd64.tar.gz'");
    const failed = await runner.run(command('pct', ['status', '999']));
    expect(failed).toMatchObject({
      exitCode: 2,
      stderr: "Configuration file 'nodes/pve1/lxc/999.conf' does not exist\n",
    });
  });

  it('leaves other programs to the machine', async () => {
    expect(await runner.run(command('echo', ['hello']))).toMatchObject({ exitCode: 0, stdout: 'hello\n' });
  });

  it('gives every task an id of its own', async () => {
    await runner.run(command('pct', CREATE));
    await Promise.all([runner.run(command('pct', ['start', '100'])), runner.run(command('pct', ['start', '100']))]);
    const lines = readFileSync(node.host.path('/var/log/pve/tasks/active'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]);
    expect(new Set(lines).size).toBe(lines.length);
  });

  it('stops a tool at its time limit and lets it clean up', async () => {
    setFaults(node.host, [{ at: 'pct create', point: 'after-volume', do: 'hang' }]);
    const made = await runner.run(command('pct', CREATE, { timeoutMs: 2000 }));
    expect(faultsOf(node.host)).toMatchObject([{ done: 1 }]);
    expect(made).toMatchObject({ exitCode: 255, timedOut: true });
    expect(existsSync(node.host.path('/etc/pve/lxc/100.conf'))).toBe(false);
  });

  it('lets a tool die without any clean-up, and frees its locks', async () => {
    setFaults(node.host, [{ at: 'pct create', point: 'after-volume', do: 'die' }]);
    expect(await runner.run(command('pct', CREATE))).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    expect(readFileSync(node.host.path('/etc/pve/lxc/100.conf'), 'utf8')).toBe('lock: create\n');
    expect(existsSync(node.host.path('/var/lib/vz/images/100/vm-100-disk-0.raw'))).toBe(true);
    expect((await runner.run(command('pct', ['unlock', '100']))).stderr).toBe('');
    expect((await runner.run(command('pct', ['destroy', '100', '--force', '1']))).exitCode).toBe(0);
    expect(existsSync(node.host.path('/var/lib/vz/images/100/vm-100-disk-0.raw'))).toBe(true);
  });
});
