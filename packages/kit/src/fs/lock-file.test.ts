/** Many contenders whose every step may take a while: nobody but one holds the lock, whoever was slow. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { readdirSync, writeFileSync } from 'node:fs';
import type promises from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { acquireLockFile } from './lock-file.ts';

/** A small linear congruential generator: the same seed gives the same pauses. */
const chance = vi.hoisted(() => {
  let state = 1;
  return {
    seed: (seed: number) => {
      state = seed;
    },
    next: (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    },
  };
});

interface Contender {
  /** The lock files it has made so far, the last of it last. */
  readonly made: string[];
  /** It makes none before this. */
  readonly gate?: Promise<void>;
}

const contender = new AsyncLocalStorage<Contender>();

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  // Most steps take no time, and some as long as many others.
  const pause = async (): Promise<void> => {
    if (chance.next(6) === 0) await sleep(chance.next(2) === 0 ? 1 : 15);
  };
  const slow = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      await pause();
      const result = await call(...args);
      await pause();
      return result;
    };
  };
  return {
    ...real,
    link: slow(async (from: string, to: string) => {
      await contender.getStore()?.gate;
      await real.link(from, to);
      contender.getStore()?.made.push(to);
    }),
    rename: slow(real.rename),
    rm: slow(real.rm),
    readFile: slow(real.readFile as (path: string) => Promise<string>),
    readdir: slow(real.readdir as (path: string) => Promise<string[]>),
  };
});

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-lock-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])('has one holder at a time, seed %i', async (seed) => {
  chance.seed(seed);
  const path = join(folder, 'agent.lock');
  let holders = 0;
  let turns = 0;
  const contend = async (): Promise<void> => {
    const made: string[] = [];
    await contender.run({ made }, () => takeTurns(made));
  };
  const takeTurns = async (made: readonly string[]): Promise<void> => {
    for (let attempt = 0; attempt < 12; attempt += 1) {
      const lock = await acquireLockFile(path, 'x').catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'PXM_ALREADY_RUNNING' });
      });
      if (lock === undefined) continue;
      holders += 1;
      turns += 1;
      expect(holders).toBe(1);
      await sleep(chance.next(3));
      holders -= 1;
      // It dies: its lock stays, and names nobody any more.
      if (chance.next(2) === 0) writeFileSync(made.at(-1) ?? '', 'dead');
      else await lock.release();
    }
  };
  await Promise.all(Array.from({ length: 6 }, contend));
  expect(turns).toBeGreaterThan(0);
  await (await acquireLockFile(path, 'x')).release();
  expect(readdirSync(folder)).toEqual([]);
});

it('is not taken by a contender that saw nobody, and went on when others had come and gone', async () => {
  chance.seed(1);
  const path = join(folder, 'agent.lock');
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const late = contender.run({ made: [], gate }, async () => await acquireLockFile(path, 'x'));
  const refused = expect(late).rejects.toMatchObject({ code: 'PXM_ALREADY_RUNNING' });
  await acquireLockFile(path, 'x');
  writeFileSync(path, 'dead');
  const lock = await acquireLockFile(path, 'x');
  expect(readdirSync(folder).filter((name) => !name.endsWith('.tmp'))).toEqual(['agent.lock.1']);
  open();
  await refused;
  await lock.release();
  expect(readdirSync(folder)).toEqual([]);
});
