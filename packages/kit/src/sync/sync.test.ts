import { isId } from '@pxmgr/contract';
import { describe, expect, it } from 'vitest';
import { createIdSource, createSequentialIds, FakeClock, systemClock } from '../clock.ts';
import { PxmError } from '../error/pxm-error.ts';
import { KeyedMutex } from './keyed-mutex.ts';
import { PeerBreakers } from './peer-breakers.ts';

describe('KeyedMutex', () => {
  it('runs one per key in the order of asking, keys side by side, also after a failure', async () => {
    const mutex = new KeyedMutex();
    const log: string[] = [];
    const job =
      (name: string, fails = false) =>
      async () => {
        log.push(`+${name}`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`-${name}`);
        if (fails) throw new Error(name);
      };
    const results = await Promise.allSettled([
      mutex.run('a', job('1', true)),
      mutex.run('a', job('2')),
      mutex.run('b', job('3')),
    ]);
    expect(log.slice(0, 3)).toEqual(['+1', '+3', '-1']);
    expect(log.filter((word) => !word.endsWith('3'))).toEqual(['+1', '-1', '+2', '-2']);
    expect(results.map((one) => one.status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(mutex.keys).toEqual([]);
  });

  it('lets an aborted waiter go without disturbing the others', async () => {
    const mutex = new KeyedMutex();
    let open: () => void = () => undefined;
    const holder = mutex.run('a', () => new Promise<void>((resolve) => (open = resolve)));
    const abort = new AbortController();
    const waiter = mutex.run('a', () => 'never', abort.signal);
    const last = mutex.run('a', () => 'last');
    abort.abort(new Error('enough'));
    await expect(waiter).rejects.toThrow('enough');
    expect(mutex.length('a')).toBe(2);
    open();
    await holder;
    expect(await last).toBe('last');
    await expect(mutex.run('a', () => 'x', abort.signal)).rejects.toThrow('enough');
  });
});

describe('breakers', () => {
  it('stop asking a peer that does not answer, but not one that refuses', async () => {
    const breakers = new PeerBreakers();
    let calls = 0;
    const ask = (code: 'PXM_NODE_UNREACHABLE' | 'PXM_FORBIDDEN') => () => {
      calls += 1;
      return Promise.reject(new PxmError(code, { node: 'pve1' }));
    };
    for (let i = 0; i < 8; i += 1)
      await expect(breakers.run('pve1', ask('PXM_NODE_UNREACHABLE'))).rejects.toMatchObject({
        code: 'PXM_NODE_UNREACHABLE',
      });
    expect(calls).toBe(5);
    expect(await breakers.run('pve2', () => Promise.resolve('other'))).toBe('other');
    breakers.reset('pve1');
    expect(await breakers.run('pve1', () => Promise.resolve('back'))).toBe('back');
    calls = 0;
    for (let i = 0; i < 8; i += 1)
      await expect(breakers.run('pve3', ask('PXM_FORBIDDEN'))).rejects.toMatchObject({ code: 'PXM_FORBIDDEN' });
    expect(calls).toBe(8);
  });
});

describe('clock', () => {
  it('FakeClock wakes sleepers in order as time is moved, and honours aborts', async () => {
    const clock = new FakeClock(new Date('2030-01-01T00:00:00Z'));
    const log: string[] = [];
    const chain = (async () => {
      await clock.sleep(100);
      log.push(`100@${clock.now().toISOString()}`);
      await clock.sleep(50);
      log.push('150');
    })();
    void clock.sleep(120).then(() => log.push('120'));
    const abort = new AbortController();
    const cancelled = clock.sleep(10, abort.signal);
    abort.abort(new Error('no'));
    await expect(cancelled).rejects.toThrow('no');
    await clock.advance(200);
    await chain;
    expect(log).toEqual(['100@2030-01-01T00:00:00.100Z', '120', '150']);
    expect(clock.waiting).toBe(0);
    await expect(systemClock.sleep(100_000, abort.signal)).rejects.toThrow('no');
  });

  it('makes ids of the form that users see, sortable by time', () => {
    const clock = new FakeClock();
    const ids = createIdSource(clock);
    const first = ids.operationId();
    clock.stepWall(1);
    const second = ids.operationId();
    expect(
      isId('operation', first) &&
        isId('plan', ids.planId()) &&
        isId('evaluation', ids.evaluationId()) &&
        isId('reservation', ids.reservationId()),
    ).toBe(true);
    expect(first < second).toBe(true);
    const sequence = createSequentialIds();
    expect([sequence.operationId(), sequence.operationId()]).toEqual([
      'op-00000000000000000000000001',
      'op-00000000000000000000000002',
    ]);
    expect(isId('operation', createSequentialIds().operationId())).toBe(true);
    expect(ids.guestUid()).toMatch(/^[0-9a-f]{32}$/);
  });
});
