import { describe, expect, it } from 'vitest';
import { OperationQueue } from './queue.ts';

function turn(): { promise: Promise<void>; end: () => void } {
  let end: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { promise, end };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('OperationQueue', () => {
  it('runs one per key in order, others beside it, and no more than the limit', async () => {
    const queue = new OperationQueue({ running: 2, waiting: 10, node: 'n' });
    const order: string[] = [];
    const turns = new Map(['a1', 'a2', 'b1', 'c1'].map((name) => [name, turn()]));
    const all = [...turns].map(([name, { promise }]) =>
      queue.run([name.charAt(0)], async () => {
        order.push(name);
        await promise;
      }),
    );
    await settle();
    expect(order).toEqual(['a1', 'b1']);
    turns.get('b1')?.end();
    await settle();
    expect(order).toEqual(['a1', 'b1', 'c1']);
    turns.get('a1')?.end();
    await settle();
    expect(order).toEqual(['a1', 'b1', 'c1', 'a2']);
    for (const { end } of turns.values()) end();
    await Promise.all(all);
    expect(queue.isTaken('a')).toBe(false);
  });

  it('a wish on two keys is not overtaken on either, and frees them when it is given up', async () => {
    const queue = new OperationQueue({ running: 5, waiting: 10, node: 'n' });
    const order: string[] = [];
    const first = turn();
    const running = queue.run(['a'], async () => {
      order.push('a');
      await first.promise;
    });
    const stop = new AbortController();
    const both = queue.run(
      ['a', 'b'],
      () => {
        order.push('ab');
        return Promise.resolve();
      },
      { signal: stop.signal },
    );
    const late = queue.run(['b'], () => {
      order.push('b');
      return Promise.resolve();
    });
    await settle();
    expect(order).toEqual(['a']);
    stop.abort(new Error('given up'));
    await expect(both).rejects.toThrow('given up');
    await late;
    expect(order).toEqual(['a', 'b']);
    first.end();
    await running;
  });

  it('gives the place of one that waits for long to others, and its keys to nobody', async () => {
    const queue = new OperationQueue({ running: 1, waiting: 10, node: 'n' });
    const order: string[] = [];
    const wait = turn();
    const waiting = queue.run(['a'], async (givePlace) => {
      givePlace();
      await wait.promise;
      order.push('a');
    });
    const adopted = queue.run(['b'], () => wait.promise, { beyondLimit: true });
    const sameKey = queue.run(['a'], () => Promise.resolve(order.push('a again')));
    await queue.run(['c'], () => Promise.resolve(order.push('c')));
    wait.end();
    await Promise.all([waiting, adopted, sameKey]);
    expect(order).toEqual(['c', 'a', 'a again']);
  });

  it('goes on after a body that fails', async () => {
    const queue = new OperationQueue({ running: 1, waiting: 10, node: 'n' });
    await expect(queue.run(['a'], () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(await queue.run(['a'], () => Promise.resolve(7))).toBe(7);
  });
});
