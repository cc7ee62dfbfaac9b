/** The stand-in's executables as processes: start, signals, sudden death, and an agent-like edit under the same lock. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setFaults } from '../../packages/sim/src/call/fault.ts';
import { installTools } from '../../packages/sim/src/door/exec.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../../packages/sim/src/host.fixture.ts';
import { buildSimBundle, type SimBundle } from './sim-bundle.ts';

let bundle: SimBundle;
beforeAll(async () => {
  bundle = await buildSimBundle();
});
afterAll(() => bundle.remove());

let node: TestHost;
let bin: string;
beforeEach(() => {
  node = makeHost();
  bin = installTools(node.host.root, { bundle: bundle.path });
});
afterEach(() => node.remove());

const CREATE = ['create', '100', SMALL_TEMPLATE, '--rootfs', 'local:0.05', '--ostype', 'unmanaged', '--arch', 'amd64'];
const config = (): string => readFileSync(node.host.path('/etc/pve/lxc/100.conf'), 'utf8');
const volumes = (): string[] =>
  readdirSync(node.host.path('/var/lib/vz/images')).flatMap((vmid) =>
    readdirSync(node.host.path(`/var/lib/vz/images/${vmid}`)),
  );

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function start(...argv: string[]): { pid: number; kill(signal: NodeJS.Signals): void; ended: Promise<Ended> } {
  const child = spawn(join(bin, 'pct'), argv, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    stdout,
    stderr,
  }));
  return { pid: child.pid ?? 0, kill: (signal) => void child.kill(signal), ended };
}

const run = (...argv: string[]): Promise<Ended> => start(...argv).ended;

describe('executables', () => {
  it('need no environment and give status and streams through', async () => {
    expect(await run('status', '100')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: "Configuration file 'nodes/pve1/lxc/100.conf' does not exist\n",
    });
    expect((await run(...CREATE)).code).toBe(0);
    expect(execFileSync(join(bin, 'pct'), ['list'], { encoding: 'utf8', env: {} })).toBe(
      'VMID       Status     Lock         Name                \n100        stopped                 CT100               \n',
    );
  });

  it('clean up on SIGTERM, as the real worker does', async () => {
    setFaults(node.host, [{ at: 'pct create', point: 'mid-extract', do: 'hang' }]);
    const made = start(...CREATE);
    await expect.poll(volumes, { timeout: 10_000 }).toEqual(['vm-100-disk-0.raw']);
    await expect
      .poll(() => readFileSync(node.host.simPath('faults.json'), 'utf8'), { timeout: 10_000 })
      .toContain('"done": 1');
    made.kill('SIGTERM');
    const ended = await made.ended;
    expect(ended.code).toBe(255);
    expect(ended.stderr).toMatch(/^unable to create CT 100 - .*received interrupt\n$/);
    expect(volumes()).toEqual([]);
    expect(existsSync(node.host.path('/etc/pve/lxc/100.conf'))).toBe(false);
  });

  it.each(['after-lock', 'after-volume', 'mid-extract', 'before-config'] as const)(
    'leave what a real kill leaves at %s',
    async (point) => {
      setFaults(node.host, [{ at: 'pct create', point, do: 'die' }]);
      expect((await run(...CREATE)).signal ?? 'SIGKILL').toBe('SIGKILL');
      expect(existsSync(node.host.path('/etc/pve/lxc/100.conf'))).toBe(true);
      expect(volumes()).toEqual(point === 'after-lock' ? [] : ['vm-100-disk-0.raw']);
      if (point !== 'before-config') expect(config()).toBe('lock: create\n');
      if (point !== 'after-lock')
        expect(readFileSync(node.host.path('/var/log/pve/tasks/active'), 'utf8')).toMatch(
          /:vzcreate:100:root@pam: 0\n/,
        );
      // The flock went with the process: nothing waits.
      expect((await run('unlock', '100')).stderr).toMatch(/^(?:no lock found trying to remove any lock\n)?$/);
      expect((await run('destroy', '100', '--force', '1')).code).toBe(0);
      const tasks = readFileSync(node.host.path('/var/log/pve/tasks/active'), 'utf8');
      if (point !== 'after-lock') expect(tasks).toMatch(/:vzcreate:100:root@pam: 1 [0-9A-F]{8} unexpected status\n/);
    },
  );

  it('lose no change when many write at once', async () => {
    await run(...CREATE);
    const options = ['--cores=2', '--onboot=1', '--tags=q', '--description=x', '--memory=300', '--swap=0'];
    const results = await Promise.all(options.map((option) => run('set', '100', option)));
    expect(results.map((r) => r.code)).toEqual(options.map(() => 0));
    expect(config()).toMatch(/^#x\narch: amd64\ncores: 2\n[\s\S]*memory: 300\nonboot: 1\n[\s\S]*swap: 0\ntags: q\n/);
  });
});
