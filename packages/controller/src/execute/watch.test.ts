import type { OperationEvent } from '@pxmgr/contract/common';
import { beforeEach, describe, expect, it } from 'vitest';
import { watchOperation } from './watch.ts';
import { WatchHub } from './watch-hub.ts';
import { begin, finish, until, type Workshop, workshop } from './work.fixture.ts';
import type { Work } from './work.ts';

let shop: Workshop;
beforeEach(async () => {
  shop = await workshop([{ name: 'pve1' }]);
});

async function held(work: Work): Promise<string> {
  shop.agent('pve1').plan('container.create', 'held');
  const { id } = await begin(work);
  await until(() => shop.agent('pve1').running('container.create') === 1);
  return id;
}

async function collect(work: Work, id: string, afterSeq = 0n): Promise<OperationEvent[]> {
  const events: OperationEvent[] = [];
  const signal = AbortSignal.timeout(10_000);
  for await (const event of watchOperation(work, id, { afterSeq, signal })) events.push(event);
  return events;
}

describe('watchOperation', () => {
  it('gives every watcher all events, whenever he comes', async () => {
    const { work } = shop.open();
    const id = await held(work);
    const early = Array.from({ length: 20 }, () => collect(work, id));
    shop.agent('pve1').letGo('container.create');
    const { events } = await finish(work, id);
    for (const seen of await Promise.all(early)) expect(seen).toEqual(events);
    expect(await collect(work, id)).toEqual(events);
    expect(await collect(work, id, 3n)).toEqual(events.slice(3));
    expect(work.hub.watched).toBe(0);
  });

  it('does not wait for a watcher that does not read', async () => {
    const { work } = shop.open();
    const id = await held(work);
    const slow = watchOperation(work, id, { afterSeq: 0n, signal: new AbortController().signal });
    await slow.next();
    shop.agent('pve1').letGo('container.create');
    const { events } = await finish(work, id);
    const rest: OperationEvent[] = [];
    for await (const event of slow) rest.push(event);
    expect(rest).toEqual(events.slice(1));
  });

  it('ends when the watcher goes away', async () => {
    const { work } = shop.open();
    const id = await held(work);
    const gone = new AbortController();
    const watching = (async () => {
      let count = 0;
      for await (const _event of watchOperation(work, id, { afterSeq: 0n, signal: gone.signal })) count += 1;
      return count;
    })();
    await until(() => work.hub.watched === 1);
    gone.abort();
    expect(await watching).toBeGreaterThan(0);
    expect(work.hub.watched).toBe(0);
  });

  it('knows no other operations', async () => {
    const { work } = shop.open();
    await expect(collect(work, 'op-x')).rejects.toMatchObject({ code: 'PXM_OPERATION_NOT_FOUND' });
  });
});

describe('WatchHub', () => {
  it('wakes only those of the operation, once', async () => {
    const hub = new WatchHub();
    const { signal } = new AbortController();
    const woken: string[] = [];
    const one = hub.next('a', signal).then(() => woken.push('a'));
    void hub.next('b', signal).then(() => woken.push('b'));
    hub.bump('a');
    hub.bump('a');
    await one;
    expect(woken).toEqual(['a']);
  });
});
