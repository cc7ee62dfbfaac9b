import { FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { expect, it } from 'vitest';
import { LoopDriver } from './driver.ts';

it('runs each loop at its period, one run at a time, and survives failures', async () => {
  const clock = new FakeClock();
  const driver = new LoopDriver(clock, silentLogger());
  let slow = 0;
  let atOnce = 0;
  let most = 0;
  let failing = 0;
  driver.add({
    name: 'slow',
    description: 'takes longer than its period',
    periodMs: 100,
    run: async (signal) => {
      slow += 1;
      atOnce += 1;
      most = Math.max(most, atOnce);
      await clock.sleep(250, signal).catch(() => undefined);
      atOnce -= 1;
    },
  });
  driver.add({
    name: 'failing',
    description: 'fails each time',
    periodMs: 100,
    run: () => {
      failing += 1;
      throw new Error('no');
    },
  });
  driver.start();
  await clock.advance(0);
  await clock.advance(1000);
  expect(most).toBe(1);
  expect(slow).toBe(3);
  expect(failing).toBe(11);
  expect(driver.status().find((status) => status.name === 'failing')).toMatchObject({
    failures: failing,
    runs: failing,
  });
  await driver.stop();
  await clock.advance(1000);
  expect(failing).toBe(11);
});
