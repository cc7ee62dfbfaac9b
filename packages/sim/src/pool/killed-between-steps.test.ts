/** A kill between any two steps on the disk: what ZFS does at once must leave every file where its dataset says it is. */
import type * as NodeFs from 'node:fs';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Host } from '../host/host.ts';
import { callTool, collectIo, scratchHost } from '../scratch-host.ts';
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
    // The lock of a process that is gone is taken over; this one lives on.
    rmSync: (path: NodeFs.PathLike, options?: NodeFs.RmOptions) =>
      (String(path).includes('.lock') ? real.rmSync : counted(real.rmSync))(path, options),
    chmodSync: counted(real.chmodSync),
  };
});

let host: Host;
afterEach(() => {
  left.steps = undefined;
});

/** What `zfs send` has sent. */
let stream: readonly Uint8Array[] = [];

async function run(line: string): Promise<number> {
  const [tool, ...argv] = line.split(' ');
  const sent: Uint8Array[] = [];
  const { io } = collectIo();
  const status = await (tool === 'zpool' ? zpool : zfs)(host, argv, {
    ...io,
    stdin: (async function* () {
      yield* stream;
    })(),
    out: (data) => void sent.push(Buffer.from(data)),
  });
  if (argv[0] === 'send') stream = sent;
  return status;
}

/** Lines of what a tool would do, and of writing a file. */
async function runAll(lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const [word, path = '', text = ''] = line.split(' ');
    if (word === 'write') writeFileSync(host.path(path), text);
    else expect([line, await run(line)]).toEqual([line, 0]);
  }
}

async function prepare(lines: readonly string[]): Promise<void> {
  host = scratchHost();
  createPool(host, { name: 'tank', sizeBytes: 512 * 1024 ** 2 });
  for (const line of ['zfs create tank/a', 'zfs create tank/a/kid', 'zfs create tank/b']) await run(line);
  for (const name of ['a', 'a/kid']) writeFileSync(host.path(`/tank/${name}/file`), name);
  await runAll(lines);
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

/** `tank/a: old`, for every file system that there is; `-`: without its file. */
async function contents(): Promise<string> {
  await run('zfs mount -a');
  const { stdout } = await callTool(zfs, host, ['list', '-H', '-o', 'name,mountpoint', '-r', 'tank']);
  const files = stdout.trim().split('\n').slice(1);
  return files
    .map((line) => line.split('\t'))
    .map(([name = '', path = '']) => {
      const file = host.path(`${path}/file`);
      return `${name}: ${existsSync(file) ? readFileSync(file, 'utf8') : '-'}`;
    })
    .join(', ');
}

describe('a kill between two steps on the way to other files leaves either those that were or those that shall be', () => {
  const CHANGED = ['zfs snapshot tank/a@s', 'write /tank/a/file new'];
  const INCREMENT = [
    ...['zfs snapshot tank/a@s', 'zfs send tank/a@s', 'zfs receive tank/r', 'write /tank/a/file new'],
    ...['zfs snapshot tank/a@t', 'zfs send -i tank/a@s tank/a@t'],
  ];
  const REST = 'tank/a/kid: a/kid, tank/b: -';
  it.each<[line: string, before: readonly string[], files: { was: string; shallBe: string }]>([
    ['zfs rollback tank/a@s', CHANGED, { was: `tank/a: new, ${REST}`, shallBe: `tank/a: a, ${REST}` }],
    ['zfs clone tank/a@s tank/c', CHANGED, { was: `tank/a: new, ${REST}`, shallBe: `tank/a: new, ${REST}, tank/c: a` }],
    [
      'zfs receive tank/c',
      [...CHANGED, 'zfs send tank/a@s'],
      { was: `tank/a: new, ${REST}`, shallBe: `tank/a: new, ${REST}, tank/c: a` },
    ],
    [
      'zfs receive tank/r',
      INCREMENT,
      { was: `tank/a: new, ${REST}, tank/r: a`, shallBe: `tank/a: new, ${REST}, tank/r: new` },
    ],
  ])('%s (after %j)', async (line, before, { was, shallBe }) => {
    const seen = new Set<string>();
    let isDone = false;
    for (let steps = 0; !isDone && steps < MOST_STEPS; steps += 1) {
      await prepare(before);
      isDone = await killedAfter(steps, line);
      const found = await contents();
      expect([steps, found]).toEqual([steps, isDone || found === shallBe ? shallBe : was]);
      seen.add(found);
      rmSync(host.root, { recursive: true, force: true });
    }
    expect([isDone, seen.size]).toEqual([true, 2]);
  });
});
