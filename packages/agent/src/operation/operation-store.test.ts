import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationState } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsOf, gate, idle, orderOf, request, runOne, newStore as storeIn } from './operation.fixture.ts';
import type { OperationStore } from './operation-store.ts';
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

describe('an operation', () => {
  it('numbers its events, and replays them from memory, while following, and from the disk', async () => {
    const store = newStore();
    runner.expect('tool --flag', { stdout: 'one\ntwo\n', exit: 3 });
    const { begun, open, body } = gate();
    const { id } = await store.start(request(), async (work) => {
      await work.step('first', 'First', () =>
        work.run({ file: 'tool', args: ['--flag'], purpose: 'try', timeoutMs: 1000 }),
      );
      await body(work);
    });
    await begun;
    const following = eventsOf(store, id);
    open();
    await store.settled(id);
    const live = await following;
    expect(live.map((event) => Number(event.seq))).toEqual(live.map((_, index) => index + 1));
    expect(live.map((event) => event.event?.$case)).toEqual([
      'operation',
      'operation',
      'stepChanged',
      'command',
      'log',
      'log',
      'command',
      'stepChanged',
      'operation',
    ]);
    expect(live[6]?.event).toMatchObject({
      value: { exitCode: 3, finished: true, command: { argv: ['tool', '--flag'] } },
    });
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
    expect(failed).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      problem: { code: 'PXM_NO_QUORUM' },
      results: { vmid: '101' },
      warnings: ['odd thing'],
    });
    expect((await reload()).get(failed.id)).toEqual(failed);
  });

  it('ends as cancelled, and a second cancel says that it has ended', async () => {
    const store = newStore();
    const { begun, body } = gate();
    const { id } = await store.start(request(), body);
    await begun;
    store.cancel(id, 'operator:anna');
    expect(await store.settled(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_CANCELLED,
      problem: { code: 'PXM_CANCELLED' },
    });
    expect(() => store.cancel(id, '')).toThrow(expect.objectContaining({ code: 'PXM_OPERATION_ENDED' }) as Error);
    expect(() => store.get('op-nothing')).toThrow(
      expect.objectContaining({ code: 'PXM_OPERATION_NOT_FOUND' }) as Error,
    );
  });

  it('can be cancelled while it waits', async () => {
    const store = newStore();
    const first = gate();
    await store.start(request(), first.body);
    await first.begun;
    let ran = false;
    const { id } = await store.start(request(), () => {
      ran = true;
      return Promise.resolve();
    });
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
    expect(store.get(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      problem: { code: 'PXM_SHUTTING_DOWN' },
    });
    await expect(store.start(request(), idle)).rejects.toMatchObject({ code: 'PXM_SHUTTING_DOWN' });
  });

  it('does not begin when the agent is stopped while its journal is on the way to the disk', async () => {
    const store = newStore();
    let ran = false;
    const starting = store.start(request(), () => {
      ran = true;
      return Promise.resolve();
    });
    await store.stop();
    const { id } = await starting;
    expect(ran).toBe(false);
    expect(store.get(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      problem: { code: 'PXM_SHUTTING_DOWN' },
    });
  });

  it('is not called cancelled when the stop of the agent ended its command', async () => {
    const store = newStore();
    const { begun, body } = gate();
    const { id } = await store.start(request(), (work) =>
      body(work).catch((error: unknown) => {
        throw new PxmError('PXM_CANCELLED', { what: 'pct create' }, { cause: error });
      }),
    );
    await begun;
    await store.stop();
    expect(store.get(id).problem).toMatchObject({ code: 'PXM_SHUTTING_DOWN' });
  });
});

describe('idempotency', () => {
  it('gives the same operation for the same key: at once, later, and after a restart', async () => {
    const store = newStore();
    let runs = 0;
    const body: OperationBody = () => {
      runs += 1;
      return Promise.resolve();
    };
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
    expect(
      store
        .list({ activeOnly: false, limit: 0 })
        .map((one) => one.id)
        .sort(),
    ).toEqual([...ids].sort().slice(-3));
    expect((await readdir(directory)).filter((name) => name.endsWith('.jsonl'))).toHaveLength(3);
  });
});

/** What a restarted agent knows. */
async function reload(): Promise<OperationStore> {
  const store = newStore();
  await store.load();
  return store;
}
