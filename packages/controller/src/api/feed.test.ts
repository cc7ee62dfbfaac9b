import { expect, it } from 'vitest';
import { Feed } from './feed.ts';

const MORE_THAN_ANYBODY_KEEPS = 20_000;

it('gives what was pushed, in order, and ends with its signal', async () => {
  const over = new AbortController();
  const feed = new Feed<number>(over.signal);
  for (const item of [1, 2, 3]) feed.push(item);
  const seen: number[] = [];
  for await (const item of feed) {
    seen.push(item);
    if (item === 3) over.abort();
  }
  expect(seen).toEqual([1, 2, 3]);
});

it('keeps nothing for a watcher that does not keep up, and tells it so when it reads on', async () => {
  const feed = new Feed<object>(new AbortController().signal);
  const reader = feed[Symbol.asyncIterator]();
  feed.push({ first: true });
  expect(await reader.next()).toEqual({ done: false, value: { first: true } });
  for (let count = 0; count < MORE_THAN_ANYBODY_KEEPS; count += 1) feed.push({ count });
  await expect(reader.next()).rejects.toMatchObject({ code: 'PXM_CANCELLED' });
});
