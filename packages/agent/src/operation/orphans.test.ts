import { systemClock } from '@pxmgr/kit/clock';
import { createRunner } from '@pxmgr/kit/exec/run';
import { createLogger } from '@pxmgr/kit/log/logger';
import { expect, it } from 'vitest';
import { endOrphans, startTimeOf } from './orphans.ts';

const runner = createRunner({
  path: '/usr/bin:/bin',
  logger: createLogger({ service: 'test', version: '0', level: 'silent' }),
});

it('ends exactly the programs that were recorded', async () => {
  const start = () => runner.start({ file: 'sleep', args: ['60'], purpose: 'wait', timeoutMs: 60_000 });
  const [ours, other] = [start(), start()];
  const pid = ours.pid ?? 0;
  const recycled = { pid: other.pid ?? 0, startTime: '1' };
  await endOrphans([{ pid, startTime: startTimeOf(pid) }, recycled], { clock: systemClock, terminate: true });
  expect((await ours.done).signal).toBe('SIGTERM');
  expect(startTimeOf(other.pid ?? 0)).not.toBe('');
  other.terminate();
  await other.done;
  expect(startTimeOf(pid)).toBe('');
});

it('lets a program end by itself when it is not to be stopped', async () => {
  const child = runner.start({ file: 'sleep', args: ['0.1'], purpose: 'wait', timeoutMs: 60_000 });
  const pid = child.pid ?? 0;
  await endOrphans([{ pid, startTime: startTimeOf(pid) }], { clock: systemClock, terminate: false });
  expect(await child.done).toMatchObject({ exitCode: 0 });
});
