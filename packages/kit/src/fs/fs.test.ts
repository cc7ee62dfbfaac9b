import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRunner } from '../exec/run.ts';
import { silentLogger } from '../log/logger.ts';
import { writeFileAtomic } from './atomic.ts';
import { acquireLockFile, startTimeOf } from './lock-file.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-fs-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('writeFileAtomic', () => {
  it('replaces content and mode, and readers never see a part', async () => {
    const path = join(folder, 'state');
    await writeFileAtomic(path, 'one', { mode: 0o640 });
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    const texts = ['a'.repeat(100_000), 'b'.repeat(50_000)];
    await writeFileAtomic(path, texts[0] ?? '');
    const reads: Promise<string>[] = [];
    for (let i = 0; i < 20; i += 1) {
      await writeFileAtomic(path, texts[i % 2] ?? '');
      reads.push(readFile(path, 'utf8'));
    }
    for (const text of await Promise.all(reads)) expect(texts.includes(text)).toBe(true);
    expect(await readdir(folder)).toEqual(['state']);
  });

  it('leaves the old file and no litter when it fails', async () => {
    const path = join(folder, 'state');
    await writeFileAtomic(path, 'old');
    await expect(writeFileAtomic(join(folder, 'state', 'below'), 'x')).rejects.toThrow('ENOTDIR');
    await expect(writeFileAtomic(folder, 'x')).rejects.toThrow();
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['state']);
  });
});

describe('acquireLockFile', () => {
  const path = () => join(folder, 'agent.lock');

  it('lets one in, names the holder to the others, and lets the next in after release', async () => {
    const lock = await acquireLockFile(path(), 'pxmgr-agent');
    await expect(acquireLockFile(path(), 'pxmgr-agent')).rejects.toMatchObject({
      code: 'PXM_ALREADY_RUNNING',
      fields: { pid: String(process.pid) },
    });
    await lock.release();
    await (await acquireLockFile(path(), 'pxmgr-agent')).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('lets exactly one of many contenders take over a dead one', async () => {
    const runner = createRunner({ path: '/usr/bin:/bin', logger: silentLogger() });
    const gone = runner.start({ file: 'sleep', args: ['30'], purpose: 'test', timeoutMs: 30_000 });
    const pid = gone.pid ?? 0;
    const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const owner = JSON.stringify({ pid, startTime: await startTimeOf(pid), bootId });
    await writeFile(path(), owner);
    await expect(acquireLockFile(path(), 'x')).rejects.toMatchObject({ code: 'PXM_ALREADY_RUNNING' });
    gone.terminate();
    await gone.done;
    for (let round = 0; round < 20; round += 1) {
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLockFile(path(), 'x')));
      const holders = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      expect(holders).toHaveLength(1);
      await holders[0]?.release();
      await writeFile(path(), owner);
    }
  });

  it('has one holder at a time, whenever the others began to look', async () => {
    let holders = 0;
    const contend = async (): Promise<void> => {
      for (let turn = 0; turn < 50; turn += 1) {
        const lock = await acquireLockFile(path(), 'x').catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'PXM_ALREADY_RUNNING' });
        });
        if (lock === undefined) continue;
        holders += 1;
        expect(holders).toBe(1);
        await readdir(folder);
        holders -= 1;
        await lock.release();
      }
    };
    await writeFile(path(), 'of nobody');
    await Promise.all(Array.from({ length: 8 }, contend));
  });

  it.each(['', 'garbage', '{"pid":1}', JSON.stringify({ pid: process.pid, startTime: '1', bootId: 'another' })])(
    'takes over a lock that names nobody alive: %s',
    async (text) => {
      await writeFile(path(), text);
      await (await acquireLockFile(path(), 'x')).release();
    },
  );
});
