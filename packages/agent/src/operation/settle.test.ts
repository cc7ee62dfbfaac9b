import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Operation, OperationState } from '@pxmgr/contract/common';
import { FakeClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JournalReplay } from './journal.ts';
import { idle, orderOf, request, newStore as storeIn } from './operation.fixture.ts';
import type { OperationStore } from './operation-store.ts';
import { recoverAll } from './recover.ts';
import type { Recovery } from './settle.ts';
import type { Work } from './work.ts';

let directory: string;
let clock: FakeClock;
let isQuorate: boolean;
let seen: string[];
let outcome: Recovery['outcome'];
let failures: Error[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pxmgr-settle-'));
  clock = new FakeClock();
  isQuorate = true;
  seen = [];
  outcome = 'undone';
  failures = [];
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const NO_QUORUM = (): PxmError => new PxmError('PXM_NO_QUORUM', { node: 'pve1' });

/** Refuses without quorum, as a rule has to that changes something. */
const rules = new Map([
  [
    'test.kind',
    async ({ effects }: JournalReplay, work: Work) => {
      seen.push(effects.map(({ name }) => name).join());
      if (!isQuorate) throw NO_QUORUM();
      const failure = failures.shift();
      if (failure !== undefined) await work.effect({ name: 'thing.undo', data: {} }, () => Promise.reject(failure));
      return await Promise.resolve({ outcome });
    },
  ],
]);

function newStore(): OperationStore {
  const cluster = { quorate: () => isQuorate, nodeName: () => 'pve1' };
  return storeIn({ directory, runner: new ScriptedRunner(), clock, rules, cluster });
}

/** An operation whose node is cut off after it has made something. */
async function cutOff(store: OperationStore, key = 'k'): Promise<string> {
  const { id } = await store.start(request({ keys: [key], order: orderOf(`order ${key}`) }), (work) =>
    work.effect({ name: 'thing.make', data: {} }, () => {
      isQuorate = false;
      return Promise.reject(new Error('Permission denied'));
    }),
  );
  await waits();
  return id;
}

/** Until the operation sleeps; events of the journal and of promises come before that. */
async function waits(count = 1): Promise<void> {
  await expect.poll(() => clock.waiting).toBe(count);
}

async function heal(): Promise<void> {
  isQuorate = true;
  await clock.advance(1000);
}

describe('an operation whose node is cut off in the middle of it', () => {
  it('waits, says so, and is taken back when the node has quorum again', async () => {
    const store = newStore();
    const id = await cutOff(store);
    await clock.advance(3_600_000);
    expect(store.get(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_RUNNING,
      warnings: [
        'pve1 has no quorum, it is cut off from its cluster: "a test" stands still, and what it began there is finished or taken back as soon as pve1 has quorum again',
      ],
    });
    await heal();
    expect(await store.settled(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      recovery: 'undone',
      problem: { code: 'PXM_NO_QUORUM', causes: ['Permission denied'] },
    });
    expect(seen).toEqual(['thing.make', 'thing.make']);
  });

  it('is done when the rule finds its goal reached, which may be before the node has quorum', async () => {
    outcome = 'resumed';
    const store = newStore();
    const id = await cutOff(store);
    await heal();
    expect(await store.settled(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_DONE,
      recovery: 'resumed',
      problem: undefined,
    });
  });

  it('fails as it is when it had begun nothing, and when no cluster was to blame', async () => {
    const store = newStore();
    isQuorate = false;
    const { id } = await store.start(request(), () => Promise.reject(NO_QUORUM()));
    expect(await store.settled(id)).toMatchObject({ recovery: '', problem: { code: 'PXM_NO_QUORUM' }, warnings: [] });
    isQuorate = true;
    const other = await store.start(request(), (work) =>
      work.effect({ name: 'thing.make', data: {} }, () => Promise.reject(new Error('no way'))),
    );
    expect(await store.settled(other.id)).toMatchObject({ recovery: '', problem: { code: 'PXM_INTERNAL' } });
    expect(seen).toEqual([]);
  });

  it('is tried again when the network fails once more under its rule, and not for ever when it does not', async () => {
    failures = [new PxmError('PXM_UNDO_INCOMPLETE', { operation: 'x', left: 'y' }, { cause: NO_QUORUM() })];
    const store = newStore();
    const id = await cutOff(store);
    await heal();
    await waits();
    await clock.advance(1000);
    expect(await store.settled(id)).toMatchObject({ recovery: 'undone' });
    // What the first try had begun is known to the second.
    expect(seen).toEqual(['thing.make', 'thing.make', 'thing.make,thing.undo']);
    failures = [1, 2, 3, 4, 5, 6].map(NO_QUORUM);
    const never = await cutOff(store, 'never');
    await heal();
    for (let look = 0; look < 3; look += 1) {
      await waits();
      await clock.advance(1000);
    }
    expect(await store.settled(never)).toMatchObject({
      state: OperationState.OPERATION_STATE_FAILED,
      recovery: '',
      problem: { code: 'PXM_NO_QUORUM' },
    });
  });

  it('holds its guest and nothing else: others go on, however many wait', async () => {
    const store = newStore();
    for (const key of ['a', 'b', 'c']) await cutOff2(store, key);
    const other = await store.start(request({ keys: ['other'] }), idle);
    expect(await store.settled(other.id)).toMatchObject({ state: OperationState.OPERATION_STATE_DONE });
    const same = await store.start(request({ keys: ['a'] }), idle);
    expect(store.get(same.id).state).toBe(OperationState.OPERATION_STATE_QUEUED);
    await heal();
    expect(await store.settled(same.id)).toMatchObject({ state: OperationState.OPERATION_STATE_DONE });
  });

  let waiting = 0;
  async function cutOff2(store: OperationStore, key: string): Promise<void> {
    waiting = clock.waiting;
    isQuorate = true;
    await store.start(request({ keys: [key] }), (work) =>
      work.effect({ name: 'thing.make', data: {} }, () => {
        isQuorate = false;
        return Promise.reject(NO_QUORUM());
      }),
    );
    await waits(waiting + 1);
  }

  it('cancelled meanwhile it still takes back what it made, and ends as cancelled', async () => {
    const store = newStore();
    const id = await cutOff(store);
    store.cancel(id, 'anna');
    await clock.advance(5000);
    expect(store.get(id).state).toBe(OperationState.OPERATION_STATE_RUNNING);
    await heal();
    expect(await store.settled(id)).toMatchObject({
      state: OperationState.OPERATION_STATE_CANCELLED,
      recovery: 'undone',
    });
  });

  it('is left to the next process when the agent stops, and ends there', async () => {
    const first = newStore();
    const id = await cutOff(first);
    await first.stop();
    expect(first.list({ activeOnly: false, limit: 0 })).toEqual([]);
    const second = newStore();
    const unfinished = await second.load();
    expect(unfinished.map(({ operation }) => operation.id)).toEqual([id]);
    const ended = recoverAll(second, unfinished, rules);
    // Known and held from the first moment, so that the services may listen.
    expect(second.get(id).state).toBe(OperationState.OPERATION_STATE_RUNNING);
    expect(second.isBusy('k')).toBe(true);
    await waits();
    await second.stop();
    await ended;
    const third = newStore();
    const last = recoverAll(third, await third.load(), rules);
    await waits();
    await heal();
    await last;
    const end: Operation = third.get(id);
    expect(end).toMatchObject({ recovery: 'undone', problem: { code: 'PXM_INTERRUPTED' } });
    expect(end.warnings).toEqual([expect.stringContaining('pve1 has no quorum')]);
  });
});
