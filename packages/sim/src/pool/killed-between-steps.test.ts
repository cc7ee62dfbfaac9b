/** A kill between any two steps on the disk: what ZFS does at once must leave every file where its dataset says it is. */
import type * as NodeFs from 'node:fs';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Host } from '../host/host.ts';
import { callTool, scratchHost } from '../scratch-host.ts';
import { zfs } from '../tool/zfs.ts';
import { zpool } from '../tool/zpool.ts';
import { createPool } from './pools.ts';

/** Steps that are still done; none: all of them. */
const left = vi.hoisted<{ steps: number | undefined }>(() => ({ steps: undefined }));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof NodeFs>();
  const counted =
    <A extends unknown[], R>(step: (...args: A) => R) =>
    (...args: A): R => {
      if (left.steps === 0) throw new Error('killed');
      if (left.steps !== undefined) left.steps -= 1;
      return step(...args);
    };
  return {
    ...real,
    renameSync: counted(real.renameSync),
    mkdirSync: counted(real.mkdirSync),
    rmdirSync: counted(real.rmdirSync),
    writeFileSync: counted(real.writeFileSync),
  };
});

let host: Host;
afterEach(() => {
  left.steps = undefined;
});

async function run(line: string): Promise<number> {
  const [tool, ...argv] = line.split(' ');
  return (await callTool(tool === 'zpool' ? zpool : zfs, host, argv)).status;
}

async function prepare(lines: readonly string[]): Promise<void> {
  host = scratchHost();
  createPool(host, { name: 'tank', sizeBytes: 512 * 1024 ** 2 });
  for (const line of ['zfs create tank/a', 'zfs create tank/a/kid', 'zfs create tank/b']) await run(line);
  for (const name of ['a', 'a/kid']) writeFileSync(host.path(`/tank/${name}/file`), name);
  for (const line of lines) expect(await run(line)).toBe(0);
}

/** True: it came through. */
async function killedAfter(steps: number, line: string): Promise<boolean> {
  left.steps = steps;
  try {
    await run(line);
    return true;
  } catch (err) {
    if ((err as Error).message !== 'killed') throw err;
    return false;
  } finally {
    left.steps = undefined;
  }
}

async function mountedPaths(): Promise<string[]> {
  if (existsSync(host.simPath('pool.json')) && (await run('zpool list tank')) !== 0) await run('zpool import tank');
  await run('zfs mount -a');
  const { stdout } = await callTool(zfs, host, ['list', '-H', '-o', 'mounted,mountpoint', '-r', 'tank']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/^yes\t/, ''));
}

/** What the files say, by the place where the datasets are mounted. */
async function foundFiles(): Promise<string[]> {
  const files = (await mountedPaths()).map((path) => host.path(`${path}/file`)).filter((path) => existsSync(path));
  return files.map((path) => readFileSync(path, 'utf8')).sort();
}

const MOST_STEPS = 60;

describe('a kill between two steps of', () => {
  it.each([
    ['zfs rename tank/a tank/n', []],
    ['zfs rename tank/a tank/b/n', []],
    ['zfs set mountpoint=/srv/n tank/a', []],
    ['zfs unmount tank/a', []],
    ['zfs mount tank/a', ['zfs unmount tank/a']],
    ['zpool import tank', ['zpool export tank']],
  ])('%s loses no file (before it: %j)', async (line, before) => {
    let isDone = false;
    for (let steps = 0; !isDone && steps < MOST_STEPS; steps += 1) {
      await prepare(before);
      isDone = await killedAfter(steps, line);
      expect([steps, await foundFiles()]).toEqual([steps, ['a', 'a/kid']]);
      rmSync(host.root, { recursive: true, force: true });
    }
    expect(isDone).toBe(true);
  });
});
