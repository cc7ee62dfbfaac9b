import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeHost, runTool, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { withFileLock } from './file-lock.ts';

let node: TestHost;
beforeEach(() => {
  node = makeHost();
});
afterEach(() => node.remove());

const LOCK = '/run/lock/lxc/pve-config-100.lock';

function request(said: string[], waitMs: number): Parameters<typeof withFileLock>[0] {
  return {
    host: node.host,
    path: LOCK,
    waitMs,
    say: (text) => void said.push(text),
    signal: new AbortController().signal,
  };
}

describe('file lock', () => {
  it('gives up on a lock that another program holds, and takes it when that lets go', async () => {
    const holder = spawn('flock', [node.host.path(LOCK), 'sh', '-c', 'echo held; read line'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const said: string[] = [];
    await expect(withFileLock(request(said, 50), async () => 'never')).rejects.toMatchObject({
      message: `can't lock file '${LOCK}' - got timeout\n`,
      status: 4,
    });
    expect(said).toEqual(['trying to acquire lock...\n']);
    const waiting = withFileLock(request(said, 10_000), async () => 'mine');
    await expect.poll(() => said.length).toBe(2);
    holder.stdin.end('\n');
    expect(await waiting).toBe('mine');
    expect(said.at(-1)).toBe(' OK\n');
  });

  it('keeps others out while the section runs', async () => {
    let inside = 0;
    const enter = (): Promise<void> =>
      withFileLock(request([], 10_000), async () => {
        inside += 1;
        expect(inside).toBe(1);
        await new Promise(setImmediate);
        inside -= 1;
      });
    await Promise.all([enter(), enter(), enter()]);
  });

  it('makes a set wait with a word on stderr', async () => {
    await node.run('pct', 'create', '100', SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged');
    let release = (): void => undefined;
    let entered = (): void => undefined;
    const isIn = new Promise<void>((resolve) => (entered = resolve));
    const held = withFileLock(request([], 1000), () => {
      entered();
      return new Promise<void>((resolve) => (release = resolve));
    });
    await isIn;
    let stderr = '';
    const err = (data: string | Uint8Array): void => {
      stderr += Buffer.from(data).toString();
      release(); // as soon as it says that it waits
    };
    const set = runTool(node.host, ['pct', 'set', '100', '--cores', '1'], { err });
    await held;
    expect(await set).toMatchObject({ status: 0, stdout: '' });
    expect(stderr).toBe('trying to acquire lock...\n OK\n');
  });
});
