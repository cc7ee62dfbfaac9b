import fs, { existsSync, readdirSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationState } from '@pxmgr/contract/common';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readJournal } from './journal-replay.ts';
import { eventsOf, gate, idle, orderOf, request, newStore as storeIn } from './operation.fixture.ts';
import type { OperationStore } from './operation-store.ts';
import { recoverAll } from './recover.ts';
import type { OperationBody } from './request.ts';

let directory: string;
let runner: ScriptedRunner;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pxmgr-operation-'));
  runner = new ScriptedRunner();
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function newStore(keep?: number): OperationStore {
  return storeIn({ directory, runner }, keep);
}

async function journals(): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith('.jsonl')).sort();
}

describe('the journal', () => {
  it('has the intent on disk before the effect and the outcome after it', async () => {
    const store = newStore();
    const seen: unknown[] = [];
    const { id } = await store.start(request(), async (work) => {
      await work.effect({ name: 'thing.make', data: { name: 'x' } }, async () => {
        seen.push((await readJournal(directory, work.id))?.effects);
      });
    });
    await store.settled(id);
    expect(seen).toEqual([[{ name: 'thing.make', data: { name: 'x' }, outcome: undefined }]]);
    expect((await readJournal(directory, id))?.effects[0]?.outcome).toBe('done');
  });

  it('gives the steps and warnings back that came after the last whole snapshot', async () => {
    const { begun, body } = gate();
    await newStore().start(request(), async (work) => {
      await work.step('first', 'the first', () => Promise.resolve());
      work.warn('deserves a look');
      await work.step('second', 'the second', () => body(work));
    });
    await begun;
    const [replay] = await newStore().load();
    expect(replay?.operation.warnings).toEqual(['deserves a look']);
    expect(replay?.operation.steps.map(({ name, state }) => [name, state])).toEqual([
      ['first', OperationState.OPERATION_STATE_DONE],
      ['second', OperationState.OPERATION_STATE_RUNNING],
    ]);
  });

  it('bears a torn last line and drops one without a whole first line', async () => {
    const store = newStore();
    const { begun, body } = gate();
    const { id } = await store.start(request(), async (work) => {
      await work.effect({ name: 'thing.make', data: {} }, () => Promise.resolve());
      await body(work);
    });
    await begun;
    await appendFile(join(directory, `${id}.jsonl`), '{"intent":{"n":2,"na');
    await writeFile(join(directory, `op-${'0'.repeat(26)}.jsonl`), '{"begin":{"oper');
    const [replay, ...others] = await newStore().load();
    expect(others).toEqual([]);
    expect(replay?.effects).toHaveLength(1);
    expect((await readdir(directory)).sort()).toEqual([`${id}.jsonl`, 'reserve']);
  });
});

describe('a journal that cannot be read', () => {
  const ID = `op-${'1'.repeat(26)}`;

  it.each([
    ['its first line is damaged', '{"beg\n{"intent":{"n":1,"name":"thing.make","data":{}}}\n'],
    ['it is no journal', 'null\n'],
  ])('because %s is put aside', async (_why, text) => {
    await writeFile(join(directory, `${ID}.jsonl`), text);
    expect(await newStore().load()).toEqual([]);
    expect(await readdir(directory)).toEqual([`${ID}.jsonl.damaged`]);
  });

  it('or gone on with does not keep the others from their end', async () => {
    const store = newStore();
    const { begun, body } = gate();
    const { id } = await store.start(request(), body);
    await begun;
    const path = join(directory, `${id}.jsonl`);
    const text = await readFile(path, 'utf8');
    // As a newer agent might write it.
    const newer = text.replaceAll('OPERATION_STATE_RUNNING', 'OPERATION_STATE_PAUSED').replaceAll(id, ID);
    await writeFile(join(directory, `${ID}.jsonl`), newer);
    const damaged: string[] = [];
    const second = storeIn({ directory, runner, onDamage: (where) => damaged.push(where) });
    await recoverAll(second, await second.load(), new Map());
    expect(damaged).toEqual([join(directory, `${ID}.jsonl.damaged`)]);
    expect(second.list({ activeOnly: false, limit: 0 })).toMatchObject([{ id, recovery: 'undone' }]);
  });

  it('in a line between says so', async () => {
    const store = newStore();
    const { begun, body } = gate();
    const { id } = await store.start(request(), body);
    await begun;
    const path = join(directory, `${id}.jsonl`);
    await appendFile(path, '{"intent":{"n":1,\n{"outcome":{"n":1,"done":true}}\n');
    const second = newStore();
    await recoverAll(second, await second.load(), new Map());
    expect(second.get(id).warnings).toEqual(['1 line(s) of its journal were damaged: look at the guest']);
  });
});

describe('a disk that refuses a line', () => {
  /** The next line that matches is refused, once. */
  function refuse(pattern: RegExp): void {
    const original = fs.writeSync.bind(fs);
    let isOver = false;
    vi.spyOn(fs, 'writeSync').mockImplementation(((fd: number, data: Uint8Array, at?: number) => {
      if (isOver || !pattern.test(Buffer.from(data).toString('latin1'))) return original(fd, data, at);
      isOver = true;
      throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' });
    }) as typeof fs.writeSync);
    syncBuiltinESMExports();
  }
  afterEach(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

  it('refuses an order whose journal cannot begin, by the path of it, and keeps nothing', async () => {
    const store = newStore();
    refuse(/^\{"begin"/);
    await expect(store.start(request(), idle)).rejects.toMatchObject({
      code: 'PXM_DISK_FAILED',
      fields: { path: expect.stringMatching(/op-.*\.jsonl$/) as string },
    });
    expect(readdirSync(directory)).toEqual(['reserve']);
  });

  it.each(['{"intent"', '{"outcome"', '"state":"OPERATION_STATE_DONE"'])('ends the process at %s', async (line) => {
    const ends: unknown[] = [];
    const store = storeIn({
      directory,
      runner,
      onJournalFailure: (error) => {
        ends.push(error);
        throw error;
      },
    });
    refuse(new RegExp(line.replace('{', '\\{')));
    const { id } = await store.start(request(), (work) =>
      work.effect({ name: 'a', data: {} }, () => Promise.resolve()),
    );
    await store.settled(id).catch(() => undefined);
    expect(ends[0]).toMatchObject({ code: 'PXM_DISK_FAILED', fields: { path: join(directory, `${id}.jsonl`) } });
  });
});

describe('a full disk', () => {
  /** A store whose journals take so many bytes and no more. */
  function full(after: number): { fill: () => void } {
    const state = { isFull: false, left: after };
    const original = fs.writeSync.bind(fs);
    vi.spyOn(fs, 'writeSync').mockImplementation(((fd: number, data: Uint8Array, at?: number) => {
      const isReserveThere = existsSync(join(directory, 'reserve'));
      if (!state.isFull || (!isReserveThere && state.left > 0)) {
        if (state.isFull) state.left -= data.length;
        return original(fd, data, at);
      }
      // A part fits, as at the end of a block.
      if (data.length > 10 && (at ?? 0) === 0) return original(fd, data.subarray(0, 10));
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    }) as typeof fs.writeSync);
    syncBuiltinESMExports();
    return {
      fill: () => {
        state.isFull = true;
      },
    };
  }
  afterEach(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

  it('lets what runs come to its end, and refuses new work', async () => {
    const disk = full(100_000);
    const store = newStore();
    const { id } = await store.start(request(), async (work) => {
      await work.effect({ name: 'thing.make', data: {} }, () => {
        disk.fill();
        return Promise.resolve();
      });
      work.log('note', 'progress finds no room');
      await work.effect({ name: 'thing.undo', data: {} }, () => Promise.resolve());
    });
    expect(await store.settled(id)).toMatchObject({ state: OperationState.OPERATION_STATE_DONE });
    const replay = await readJournal(directory, id);
    expect(replay?.damagedLines).toBe(0);
    expect(replay?.effects.map(({ name, outcome }) => `${name} ${outcome ?? ''}`)).toEqual([
      'thing.make done',
      'thing.undo done',
    ]);
    expect(replay?.operation.state).toBe(OperationState.OPERATION_STATE_DONE);
    await expect(store.start(request(), idle)).rejects.toMatchObject({ code: 'PXM_DISK_FULL' });
    expect(await journals()).toHaveLength(1);
  });

  it('begins no effect that it cannot write down', async () => {
    const disk = full(0);
    const store = newStore();
    const seen: string[] = [];
    const { id } = await store.start(request(), async (work) => {
      disk.fill();
      await work.effect({ name: 'thing.make', data: {} }, () => Promise.resolve(seen.push('made')));
    });
    expect(await store.settled(id)).toMatchObject({ problem: { code: 'PXM_DISK_FULL' } });
    expect(seen).toEqual([]);
    vi.restoreAllMocks();
    syncBuiltinESMExports();
    const second = newStore();
    await recoverAll(second, await second.load(), new Map());
    expect(second.get(id)).toMatchObject({ recovery: 'undone' });
  });
});

describe('recovery', () => {
  it('writes on after a line that the crash tore', async () => {
    await abandon((work) => work.effect({ name: 'thing.make', data: {} }, () => Promise.resolve()));
    const [name = ''] = await journals();
    await appendFile(join(directory, name), '{"event":{"operationId":"op');
    const store = newStore();
    const undone = (): Promise<{ outcome: 'undone' }> => Promise.resolve({ outcome: 'undone' });
    await recoverAll(store, await store.load(), new Map([['test.kind', undone]]));
    expect((await readJournal(directory, name.slice(0, -'.jsonl'.length)))?.damagedLines).toBe(0);
  });

  async function abandon(body: OperationBody): Promise<void> {
    const { begun, body: wait } = gate();
    await newStore().start(request({ order: orderOf('key') }), async (work) => {
      await body(work);
      await wait(work);
    });
    await begun;
  }

  it('ends each as its rule says and goes on with the numbering', async () => {
    await abandon((work) =>
      work.step('half', 'Half', () => work.effect({ name: 'thing.make', data: {} }, () => Promise.resolve())),
    );
    const store = newStore();
    await recoverAll(
      store,
      await store.load(),
      new Map([
        [
          'test.kind',
          async (replay) => {
            expect(replay.params).toEqual({ a: 1 });
            return { outcome: 'resumed' };
          },
        ],
      ]),
    );
    const [operation] = store.list({ activeOnly: false, limit: 0 });
    expect(operation).toMatchObject({ state: OperationState.OPERATION_STATE_DONE, recovery: 'resumed' });
    const events = await eventsOf(store, operation!.id);
    expect(events.map((event) => Number(event.seq))).toEqual(events.map((_, index) => index + 1));
    expect(await store.start(request({ order: orderOf('key') }), idle)).toMatchObject({ id: operation!.id });
    expect(await newStore().load()).toEqual([]);
  });

  it('without an effect it is undone, and with a failing rule it says so', async () => {
    await abandon(idle);
    const store = newStore();
    await recoverAll(store, await store.load(), new Map());
    expect(store.list({ activeOnly: false, limit: 0 })[0]).toMatchObject({
      recovery: 'undone',
      problem: { code: 'PXM_INTERRUPTED' },
    });
    await abandonUnruly();
    const second = newStore();
    await recoverAll(second, await second.load(), new Map([['test.kind', () => Promise.reject(new Error('no way'))]]));
    const failed = second
      .list({ activeOnly: false, limit: 0 })
      .find((one) => one.problem?.code === 'PXM_UNDO_INCOMPLETE');
    expect(failed?.problem?.message).toContain('thing.make');
  });

  async function abandonUnruly(): Promise<void> {
    const { begun, body } = gate();
    await newStore().start(request({ order: orderOf('other') }), async (work) => {
      await work.effect({ name: 'thing.make', data: {} }, () => body(work));
    });
    await begun;
    expect((await journals()).length).toBe(2);
    expect(await readFile(join(directory, (await journals()).at(-1)!), 'utf8')).toContain('intent');
  }
});
