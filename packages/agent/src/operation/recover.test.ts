import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationState } from '@pxmgr/contract/common';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readJournal } from './journal.ts';
import { eventsOf, gate, idle, orderOf, request, newStore as storeIn } from './operation-fixture.ts';
import type { OperationBody, OperationStore } from './operation-store.ts';
import { recoverAll } from './recover.ts';

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
    expect(await readdir(directory)).toEqual([`${id}.jsonl`]);
  });
});

describe('recovery', () => {
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
    expect((await readdir(directory)).length).toBe(2);
    expect(await readFile(join(directory, (await readdir(directory)).sort().at(-1)!), 'utf8')).toContain('intent');
  }
});
