import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Operation, OperationEvent, Order } from '@pxmgr/contract/common';
import { OperationState } from '@pxmgr/contract/common';
import { createIdSource, systemClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readJournal } from './journal.ts';
import { type OperationBody, type OperationRequest, OperationStore } from './operation-store.ts';
import { OperationQueue } from './queue.ts';
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

function newStore(keep = 500): OperationStore {
  const queue = new OperationQueue({ running: 2, waiting: 2, node: 'pve1' });
  return new OperationStore({ directory, clock: systemClock, ids: createIdSource(), runner, queue, node: { uid: 'n-1', name: 'pve1' }, keep });
}

function orderOf(idempotencyKey: string): Order {
  return { idempotencyKey, planId: 'pl-1', planGeneration: 1n, fencingToken: 1n, actor: 'operator:anna', dryRun: false };
}

function request(change: Partial<OperationRequest> = {}): OperationRequest {
  return { kind: 'test.kind', title: 'a test', keys: ['k'], params: { a: 1 }, ...change };
}

async function runOne(store: OperationStore, body: OperationBody, change: Partial<OperationRequest> = {}): Promise<Operation> {
  const { id } = await store.start(request(change), body);
  return await store.settled(id);
}

async function eventsOf(store: OperationStore, id: string, after = 0n): Promise<OperationEvent[]> {
  const events: OperationEvent[] = [];
  for await (const event of store.watch(id, after)) events.push(event);
  return events;
}

const idle: OperationBody = () => Promise.resolve();

/** A body that begins and then waits for the test. */
function gate(): { body: OperationBody; begun: Promise<void>; open: () => void } {
  let begin: () => void = () => undefined;
  let open: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => { begin = resolve; });
  const opened = new Promise<void>((resolve) => { open = resolve; });
  return { begun, open, body: async (work) => {
    begin();
    await Promise.race([opened, new Promise((_, reject) => { work.signal.addEventListener('abort', () => { reject(work.signal.reason as Error); }); })]);
  } };
}

describe('an operation', () => {
  it('numbers its events, and replays them from memory, while following, and from the disk', async () => {
    const store = newStore();
    runner.expect('tool --flag', { stdout: 'one\ntwo\n', exit: 3 });
    const { begun, open, body } = gate();
    const { id } = await store.start(request(), async (work) => {
      await work.step('first', 'First', () => work.run({ file: 'tool', args: ['--flag'], purpose: 'try', timeoutMs: 1000 }));
      await body(work);
    });
    await begun;
    const following = eventsOf(store, id);
    open();
    await store.settled(id);
    const live = await following;
    expect(live.map((event) => Number(event.seq))).toEqual(live.map((_, index) => index + 1));
    expect(live.map((event) => event.event?.$case)).toEqual(['operation', 'operation', 'stepChanged', 'command', 'log', 'log', 'command', 'stepChanged', 'operation']);
    expect(live[6]?.event).toMatchObject({ value: { exitCode: 3, finished: true, command: { argv: ['tool', '--flag'] } } });
    expect(live.at(-1)?.event).toMatchObject({ value: { state: OperationState.OPERATION_STATE_DONE } });
    expect(await eventsOf(store, id)).toEqual(live);
    expect(await eventsOf(await reload(), id, 7n)).toEqual(live.slice(7));
  });

  it('keeps problem, results and warnings over a restart', async () => {
    const failed = await runOne(newStore(), (work) => {
      work.result('vmid', '101');
      work.warn('odd\u0007 thing');
      return Promise.reject(new PxmError('PXM_NO_QUORUM', { node: 'pve1' }));
    });
    expect(failed).toMatchObject({ state: OperationState.OPERATION_STATE_FAILED, problem: { code: 'PXM_NO_QUORUM' }, results: { vmid: '101' }, warnings: ['odd thing'] });
    expect((await reload()).get(failed.id)).toEqual(failed);
  });

  it('ends as cancelled, and a second cancel says that it has ended', async () => {
    const store = newStore();
    const { begun, body } = gate();
    const { id } = await store.start(request(), body);
    await begun;
    store.cancel(id, 'operator:anna');
    expect(await store.settled(id)).toMatchObject({ state: OperationState.OPERATION_STATE_CANCELLED, problem: { code: 'PXM_CANCELLED' } });
    expect(() => store.cancel(id, '')).toThrow(expect.objectContaining({ code: 'PXM_OPERATION_ENDED' }) as Error);
    expect(() => store.get('op-nothing')).toThrow(expect.objectContaining({ code: 'PXM_OPERATION_NOT_FOUND' }) as Error);
  });

  it('can be cancelled while it waits', async () => {
    const store = newStore();
    const first = gate();
    await store.start(request(), first.body);
    await first.begun;
    let ran = false;
    const { id } = await store.start(request(), () => { ran = true; return Promise.resolve(); });
    store.cancel(id, '');
    expect((await store.settled(id)).state).toBe(OperationState.OPERATION_STATE_CANCELLED);
    first.open();
    expect(ran).toBe(false);
  });

  it('is stopped with the agent and refuses new work then', async () => {
    const store = newStore();
    const { begun, body } = gate();
    const { id } = await store.start(request(), body);
    await begun;
    await store.stop();
    expect(store.get(id)).toMatchObject({ state: OperationState.OPERATION_STATE_FAILED, problem: { code: 'PXM_SHUTTING_DOWN' } });
    await expect(store.start(request(), idle)).rejects.toMatchObject({ code: 'PXM_SHUTTING_DOWN' });
  });
});

describe('idempotency', () => {
  it('gives the same operation for the same key: at once, later, and after a restart', async () => {
    const store = newStore();
    let runs = 0;
    const body: OperationBody = () => { runs += 1; return Promise.resolve(); };
    const order = orderOf('pl-1/0');
    const [a, b] = await Promise.all([store.start(request({ order }), body), store.start(request({ order }), body)]);
    await store.settled(a.id);
    const c = await store.start(request({ order }), body);
    const d = await (await reload()).start(request({ order }), body);
    expect(new Set([a.id, b.id, c.id, d.id]).size).toBe(1);
    expect(runs).toBe(1);
    const other = await runOne(store, body, { order: orderOf('pl-1/1') });
    expect(other.id).not.toBe(a.id);
  });
});

describe('the store', () => {
  it('refuses more than may wait', async () => {
    const store = newStore();
    const first = gate();
    await store.start(request(), first.body);
    await first.begun;
    await store.start(request(), idle);
    await store.start(request(), idle);
    await expect(store.start(request(), idle)).rejects.toMatchObject({ code: 'PXM_QUEUE_FULL' });
    first.open();
  });

  it('keeps only the newest ended operations', async () => {
    const store = newStore(3);
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push((await runOne(store, idle)).id);
    expect(store.list({ activeOnly: false, limit: 0 }).map((one) => one.id).sort()).toEqual([...ids].sort().slice(-3));
    expect(await readdir(directory)).toHaveLength(3);
  });
});

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
    await abandon((work) => work.step('half', 'Half', () => work.effect({ name: 'thing.make', data: {} }, () => Promise.resolve())));
    const store = newStore();
    await recoverAll(store, await store.load(), new Map([['test.kind', async (replay) => {
      expect(replay.params).toEqual({ a: 1 });
      return { outcome: 'resumed' };
    }]]));
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
    expect(store.list({ activeOnly: false, limit: 0 })[0]).toMatchObject({ recovery: 'undone', problem: { code: 'PXM_INTERRUPTED' } });
    await abandonUnruly();
    const second = newStore();
    await recoverAll(second, await second.load(), new Map([['test.kind', () => Promise.reject(new Error('no way'))]]));
    const failed = second.list({ activeOnly: false, limit: 0 }).find((one) => one.problem?.code === 'PXM_UNDO_INCOMPLETE');
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

/** What a restarted agent knows. */
async function reload(): Promise<OperationStore> {
  const store = newStore();
  await store.load();
  return store;
}
