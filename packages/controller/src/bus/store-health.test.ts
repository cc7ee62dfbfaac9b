import { readFileSync } from 'node:fs';
import { FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestBus, type TestBus, until } from './bus.fixture.ts';
import { StoreHealth } from './store-health.ts';

let bus: TestBus;
beforeAll(async () => {
  bus = await startTestBus();
});
afterAll(async () => {
  signal('SIGCONT');
  await bus.close();
});

function signal(name: 'SIGSTOP' | 'SIGCONT'): void {
  process.kill(bus.server.pid ?? 0, name);
}

async function stop(): Promise<void> {
  signal('SIGSTOP');
  const stat = `/proc/${String(bus.server.pid)}/stat`;
  await until('the server stands still', () => readFileSync(stat, 'utf8').includes(') T '));
}

// What a full disk does to it: test/disk/bus.test.ts.
it('starts a server again whose streams are silent for a minute without a full disk, and not twice in half a minute', async () => {
  const clock = new FakeClock();
  let restarts = 0;
  const restart = (): void => {
    restarts += 1;
  };
  const connection = await bus.controller();
  const health = new StoreHealth({ clock, logger: silentLogger(), folder: bus.folder, restart });
  const look = async (): Promise<number> => {
    expect(await health.look(connection)).toBeUndefined();
    return restarts;
  };

  expect(await look()).toBe(0);
  await stop();
  expect(await look(), 'load may do that').toBe(0);
  await clock.advance(61_000);
  expect(await look()).toBe(1);
  await clock.advance(1000);
  expect(await look(), 'it has had no time yet').toBe(1);
  signal('SIGCONT');
  expect(await look()).toBe(1);
  await clock.advance(120_000);
  await stop();
  expect(await look(), 'an answer ends the silence').toBe(1);
}, 120_000);
