import { systemClock } from '@pxmgr/kit/clock';
import { createRunner } from '@pxmgr/kit/exec/run';
import { createLogger } from '@pxmgr/kit/log/logger';
import { expect, it } from 'vitest';
import { ASKED_AT_ONCE, endOrphans, LEFT_TO_END, programsOf } from './orphans.ts';

const runner = createRunner({
  path: '/usr/bin:/bin',
  logger: createLogger({ service: 'test', version: '0', level: 'silent' }),
});
const SLEEP = { file: 'sleep', args: ['60'], purpose: 'wait', timeoutMs: 60_000 };

it('ends exactly the programs of the operation, and no child that one of them left behind', async () => {
  const ours = runner.start(SLEEP, { operationId: 'op-ours' });
  const others = [runner.start(SLEEP, { operationId: 'op-other' }), runner.start(SLEEP)];
  const parent = { file: 'sh', args: ['-c', 'sleep 60 & echo $!; wait'], purpose: 'wait', timeoutMs: 60_000 };
  const shell = runner.start(parent, { operationId: 'op-ours' });
  const child = await new Promise<number>((resolve) => {
    shell.stdout.once('data', (data: Buffer) => resolve(Number(data.toString())));
  });
  // Between its fork and its exec the child still goes by the name of its parent.
  await expect.poll(() => programsOf('op-ours').sort()).toEqual([ours.pid, shell.pid].sort());
  await endOrphans('op-ours', { clock: systemClock, patience: ASKED_AT_ONCE });
  expect((await ours.done).signal).toBe('SIGTERM');
  expect((await shell.done).signal).toBe('SIGTERM');
  expect(process.kill(child, 'SIGKILL')).toBe(true);
  expect(programsOf('op-other')).toEqual([others[0]?.pid]);
  for (const other of others) {
    other.terminate();
    await other.done;
  }
});

it('lets a program end by itself when it is not to be stopped', async () => {
  const child = runner.start({ ...SLEEP, args: ['0.2'] }, { operationId: 'op-patient' });
  await endOrphans('op-patient', { clock: systemClock, patience: LEFT_TO_END });
  expect(programsOf('op-patient')).toEqual([]);
  expect(await child.done).toMatchObject({ exitCode: 0 });
});

it('asks one that does not end by itself in its time, and does not ask for ever', async () => {
  // Waits in the shell itself: a child would go by its parent's name until its exec.
  const deaf = { file: 'sh', args: ['-c', 'trap "" TERM; echo deaf; read -r _'], purpose: 'wait', timeoutMs: 60_000 };
  const child = runner.start(deaf, { operationId: 'op-deaf' });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const waited: (readonly number[])[] = [];
  await endOrphans('op-deaf', {
    clock: systemClock,
    patience: { leaveMs: 200, termMs: 200 },
    onWait: (pids) => waited.push(pids),
  });
  expect((await child.done).signal).toBe('SIGKILL');
  expect(waited).toEqual([[child.pid]]);
});
