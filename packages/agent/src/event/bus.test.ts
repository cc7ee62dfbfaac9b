import { systemClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { expect, it, onTestFinished } from 'vitest';
import { BusConnection } from './bus.ts';
import { TestNats, until } from './nats.fixture.ts';

const NODE = 'n-abcdefghijklmnop';

async function server(): Promise<TestNats> {
  const nats = await TestNats.start();
  onTestFinished(() => nats.close());
  return nats;
}

it('takes new settings while it runs: what was written arrives, then a new connection is made', async () => {
  const [first, second] = await Promise.all([server(), server()]);
  const settings = { url: first.url, nodeUid: NODE, ca: undefined, credentials: undefined };
  const bus = new BusConnection(settings, systemClock, silentLogger());
  const made: unknown[] = [];
  bus.onConnection((fresh) => made.push(fresh));
  const stop = new AbortController();
  const running = bus.run(stop.signal);
  const old = await until('connected', () => bus.current);
  const heard: string[] = [];
  const listener = await first.connect();
  listener.subscribe('test', { callback: (_error, message) => void heard.push(message.string()) });
  await listener.flush();
  old.connection.publish('test', 'last words');
  bus.replace({ ...settings, url: second.url });
  expect(bus.current).toBeUndefined();
  const fresh = await until('connected anew', () => bus.current);
  expect(fresh.connection.getServer()).toBe(second.url.slice('nats://'.length));
  expect(old.connection.isClosed()).toBe(true);
  await until('the last words', () => heard[0]);
  expect(made).toHaveLength(2);
  stop.abort();
  await running;
});

it('gives up a connection that is lost when new settings come', async () => {
  const [first, second] = await Promise.all([server(), server()]);
  const settings = { url: first.url, nodeUid: NODE, ca: undefined, credentials: undefined };
  const bus = new BusConnection(settings, systemClock, silentLogger());
  const stop = new AbortController();
  const running = bus.run(stop.signal);
  await until('connected', () => bus.current);
  await first.halt();
  await until('lost', () => bus.current === undefined || undefined);
  bus.replace({ ...settings, url: second.url });
  await until('connected anew', () => bus.current);
  stop.abort();
  await running;
});
