import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createInProcessRunner } from '../door/in-process.ts';
import { machineRunner } from '../host/machine.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { type FaultRule, faultsOf, setFaults } from './fault.ts';
import { FAULT_POINTS } from './fault-points.ts';
import { setSwitches } from './switches.ts';

let node: TestHost;
beforeEach(() => {
  node = makeHost();
});
afterEach(() => node.remove());

const CREATE = ['create', '100', SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged', '--arch', 'amd64'];

function run(argv: readonly [file: string, ...args: string[]], more: Partial<Command> = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  const runner = createInProcessRunner(node.host, { fallback: machineRunner() });
  return runner.run({ file, args, purpose: 'test', timeoutMs: 60_000, killGraceMs: 50, ...more });
}
const pct = (...args: string[]): Promise<CommandResult> => run(['pct', ...args]);
const fault = (rule: Omit<FaultRule, 'at'> & { at?: string }): void =>
  setFaults(node.host, [{ at: 'pct create', ...rule }]);

const config = (): string | undefined =>
  existsSync(node.host.path('/etc/pve/lxc/100.conf'))
    ? readFileSync(node.host.path('/etc/pve/lxc/100.conf'), 'utf8')
    : undefined;
const hasVolume = (): boolean => existsSync(node.host.path('/var/lib/vz/images/100/vm-100-disk-0.raw'));
const active = (): string[] => readFileSync(node.host.path('/var/log/pve/tasks/active'), 'utf8').trim().split('\n');
function lastLog(): string {
  const upid = (active()[0] ?? '').split(' ')[0] ?? '';
  return readFileSync(node.host.path(`/var/log/pve/tasks/${(upid.split(':')[4] ?? '').at(-1) ?? ''}/${upid}`), 'utf8');
}

describe('a create whose command and worker are killed', () => {
  it.each(['die', 'die-front'] as const)(
    '%s: keeps the reservation and the volume, and a log without an end',
    async (how) => {
      fault({ point: 'mid-extract', do: how });
      expect(await pct(...CREATE)).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
      expect(config()).toBe('lock: create\n');
      expect(hasVolume()).toBe(true);
      expect(lastLog()).not.toContain('TASK');
      expect(active()[0]).toMatch(/ 0$/);
    },
  );

  it('is told as an unexpected status by the next task of the node, and leaves an orphan after unlock and destroy', async () => {
    fault({ point: 'mid-extract', do: 'die' });
    await pct(...CREATE);
    expect((await pct('destroy', '100')).stderr).toBe('CT is locked (create)\n');
    await pct('unlock', '100');
    expect((await pct('destroy', '100', '--force', '1')).exitCode).toBe(0);
    expect(active().filter((line) => line.endsWith(' unexpected status'))).toHaveLength(1);
    expect(config()).toBeUndefined();
    expect(hasVolume()).toBe(true);
  });
});

describe('a worker that is killed alone', () => {
  it('is told by its command, which fails with the same things left', async () => {
    fault({ point: 'mid-extract', do: 'die-worker' });
    const made = await pct(...CREATE);
    expect(made).toMatchObject({ exitCode: 255, signal: null, stderr: 'got unexpected control message:  \n' });
    expect(config()).toBe('lock: create\n');
    expect(hasVolume()).toBe(true);
    expect(lastLog()).toMatch(/[^\n]\nTASK ERROR: got unexpected control message: {2}\n$/);
    expect(active()[0]).toMatch(/ 1 [0-9A-F]{8} got unexpected control message:$/);
  });

  it('lets its locks go', async () => {
    await pct(...CREATE);
    fault({ at: 'pct start', point: 'before-start', do: 'die-worker' });
    expect((await pct('start', '100')).exitCode).toBe(255);
    expect((await pct('set', '100', '--cores', '1')).stderr).toBe('');
  });
});

describe('a start whose command is killed after the fork', () => {
  it('starts the guest, and its task never ends', async () => {
    await pct(...CREATE);
    fault({ at: 'pct start', point: 'before-start', do: 'die-front' });
    expect(await pct('start', '100')).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    expect((await pct('status', '100')).stdout).toBe('status: running\n');
    expect(active()[0]).toMatch(/:vzstart:100:root@pam: 0$/);
    expect(lastLog()).toBe('');
  });
});

/** Takes the rules away after a while, from a thread of its own: the tool's stands still. */
const RELEASE = `const { workerData } = require('node:worker_threads');
const { renameSync, writeFileSync } = require('node:fs');
setTimeout(() => {
  writeFileSync(workerData.file + '.new', '[]');
  renameSync(workerData.file + '.new', workerData.file);
}, workerData.ms * 10);`;

describe('a death in the middle of a write', () => {
  it('leaves half a file under its temporary name and the config as it was', async () => {
    await pct(...CREATE);
    const before = config() ?? '';
    fault({ at: 'pct set', point: 'mid-write', do: 'die' });
    expect((await pct('set', '100', '--cores', '3')).signal).toBe('SIGKILL');
    expect(config()).toBe(before);
    const half = readdirSync(node.host.path('/etc/pve/lxc')).filter((name) => /^100\.conf\.tmp\.\d+$/.test(name));
    expect(half).toHaveLength(1);
    expect(readFileSync(node.host.path(`/etc/pve/lxc/${half[0] ?? ''}`), 'utf8').length).toBeLessThan(before.length);
    expect((await pct('set', '100', '--cores', '3')).exitCode).toBe(0);
    expect(config()).toContain('cores: 3\n');
  });

  it.each([
    ['delay', 60],
    ['hang', 60],
  ] as const)('can be met while the writer is there: %s', async (action, ms) => {
    await pct(...CREATE);
    fault({ at: 'pct set', point: 'mid-write', do: action, delayMs: ms });
    const worker = new Worker(RELEASE, { eval: true, workerData: { file: node.host.simPath('faults.json'), ms } });
    const start = performance.now();
    expect((await pct('set', '100', '--cores', '3')).exitCode).toBe(0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(ms);
    await worker.terminate();
  });

  it('changes nothing any more, not even to clean up', async () => {
    fault({ point: 'mid-write', skip: 2, do: 'die' });
    expect((await pct(...CREATE)).signal).toBe('SIGKILL');
    expect(hasVolume()).toBe(true);
    expect(config()).toBe('lock: create\n');
  });
});

describe('no space left', () => {
  const MKFS =
    /^unable to create CT 100 - command 'mkfs\.ext4 -O mmp -E 'root_owner=100000:100000' (\S+)' failed: exit code 1\n$/;

  it('at the second volume fails in mkfs and takes the first volume back', async () => {
    fault({ point: 'mkfs', skip: 1, do: 'enospc' });
    const made = await pct(...CREATE, '--mp0', 'local:0.01,mp=/data');
    expect(made.exitCode).toBe(255);
    expect(MKFS.exec(made.stderr)?.[1]).toBe('/var/lib/vz/images/100/vm-100-disk-1.raw');
    expect(made.stdout).toContain('Warning: could not erase sector 0: No space left on device\nError while enabling');
    expect(hasVolume()).toBe(false);
    expect(config()).toBeUndefined();
    expect(faultsOf(node.host)).toMatchObject([{ skipped: 1, done: 1 }]);
  });

  it('in the archive ends the extraction, and nothing stays', async () => {
    fault({ point: 'mid-extract', do: 'enospc' });
    const made = await pct(...CREATE);
    expect(made.stderr).toMatch(/^unable to create CT 100 - command '.*tar xpf .*failed: exit code 2\n$/);
    expect(made.stdout).toContain('No space left on device\ntar: Exiting with failure status due to previous errors\n');
    expect(hasVolume()).toBe(false);
  });

  it('below /etc/pve leaves the old file', async () => {
    await pct(...CREATE);
    const before = config();
    fault({ at: 'pct set', point: 'mid-write', do: 'enospc' });
    expect((await pct('set', '100', '--cores', '3')).stderr).toMatch(/conf\.tmp\.\d+' - No space left on device\n$/);
    expect(config()).toBe(before);
    expect(readdirSync(node.host.path('/etc/pve/lxc'))).toEqual(['100.conf']);
  });

  it('on a full storage lets a volume be made and no file system in it', async () => {
    setSwitches(node.host, { freeBytes: { local: 0 } });
    expect((await run(['pvesm', 'alloc', 'local', '101', '', '4M'])).exitCode).toBe(0);
    expect((await pct(...CREATE)).stderr).toMatch(MKFS);
    expect((await run(['pvesm', 'status', '--storage', 'local'])).stdout).toMatch(/ +0 +100\.00%\n$/);
  });
});

describe('locks that nobody lets go', () => {
  it('of a guest: every change waits and gives up, reading goes on', async () => {
    await pct(...CREATE);
    setSwitches(node.host, { heldLocks: ['/run/lock/lxc/pve-config-100.lock'], waitScale: 0.01 });
    const text = "trying to acquire lock...\ncan't lock file '/run/lock/lxc/pve-config-100.lock' - got timeout\n";
    expect(await pct('set', '100', '--cores', '1')).toMatchObject({ exitCode: 4, stderr: text });
    expect(await pct('start', '100')).toMatchObject({ exitCode: 255, stdout: 'trying to acquire lock...\n' });
    expect((await pct('config', '100')).exitCode).toBe(0);
  });

  it('of a storage: allocation gives up, looking does not ask for it', async () => {
    setSwitches(node.host, { heldLocks: ['/var/lock/pve-manager/pve-storage-local'], waitScale: 0.01 });
    expect((await run(['pvesm', 'alloc', 'local', '101', '', '4M'])).exitCode).toBe(4);
    expect((await run(['pvesm', 'status'])).exitCode).toBe(0);
  });
});

describe('a storage that does not answer', () => {
  it('holds pvesm for ever, deaf to SIGTERM, while another storage answers', async () => {
    await run(['pvesm', 'add', 'dir', 'away', '--path', '/mnt/away']);
    setSwitches(node.host, { deadStorages: ['away'] });
    expect((await run(['pvesm', 'status', '--storage', 'local'])).exitCode).toBe(0);
    const status = await run(['pvesm', 'status'], { timeoutMs: 100 });
    expect(status).toMatchObject({ timedOut: true, exitCode: null, signal: 'SIGKILL', stdout: '' });
  });

  it('is only late when it is slow', async () => {
    setSwitches(node.host, { slowStorages: { local: 60 } });
    const began = performance.now();
    expect((await run(['pvesm', 'status'])).exitCode).toBe(0);
    expect(performance.now() - began).toBeGreaterThanOrEqual(59);
  });
});

describe('the table in the README', () => {
  const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = (title: string): string[] =>
    [...(text.split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? '').matchAll(/^\| `([^`]+)`/gm)].map(
      (row) => row[1] ?? '',
    );

  it('names every point, every action and every switch, and no other', () => {
    const source = readFileSync(new URL('switches.ts', import.meta.url), 'utf8');
    const switches = [...source.matchAll(/readonly (\w+)\?:/g)].map((match) => match[1]);
    const actions = /type FaultAction = ([^;]+);/.exec(readFileSync(new URL('fault.ts', import.meta.url), 'utf8'))?.[1];
    expect(rows('Points')).toEqual(Object.keys(FAULT_POINTS));
    expect(rows('Actions')).toEqual(actions?.match(/[a-z][a-z-]+/g));
    expect(rows('Switches')).toEqual(switches);
  });
});
