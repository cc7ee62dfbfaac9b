/** `npm run demo` as a stranger runs it: it ends by itself, tells the main job, and leaves the machine as it was. */
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { expect, it } from 'vitest';
import { CHECKOUT, SYSTEM_PATH } from '../../deploy/stand/stand-dir.ts';
import { lasting } from '../../deploy/stand/wait.ts';
import { WAIT_LIMIT_MS } from './fleet.ts';
import { processesOf } from './traces.ts';

const LIMIT_MS = 240_000;

/** What a demo that forgot something would leave. */
function traces(marks: readonly string[]): string[] {
  const folders = readdirSync(tmpdir()).filter((name) => marks.includes(name));
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => marks.some((mark) => line.includes(mark)));
  const processes = marks.flatMap((mark) => processesOf(mark)).map(({ argv }) => argv.join(' '));
  return [...folders, ...mounts, ...processes];
}

/** Those that stay: what an agent had begun to ask its host when it was stopped ends by itself. */
async function lastingTraces(marks: readonly string[]): Promise<string[]> {
  return await lasting(WAIT_LIMIT_MS, () => traces(marks));
}

/** Runs it, until the end or until it says the words, and finds the folder that it made. */
async function demo(stopAt?: string): Promise<{ result: CommandResult; folders: string[] }> {
  const before = new Set(readdirSync(tmpdir()));
  const runner = createRunner({
    path: `${CHECKOUT}/node_modules/.bin:${process.execPath.replace(/\/node$/, '')}:${SYSTEM_PATH}`,
    logger: silentLogger(),
  });
  const folders = new Set<string>();
  const stop = new AbortController();
  const note = (_stream: string, line: string): void => {
    if (stopAt !== undefined && line.includes(stopAt)) stop.abort();
    for (const name of readdirSync(tmpdir()))
      if (name.startsWith('pxmgr-demo-') && !before.has(name)) folders.add(name);
  };
  const result = await runner.run(
    {
      file: 'tsx',
      args: [`${CHECKOUT}/deploy/demo.ts`],
      purpose: 'run the demo',
      timeoutMs: LIMIT_MS,
      killGraceMs: LIMIT_MS,
      maxOutputBytes: 4 * 1024 * 1024,
    },
    { onLine: note, signal: stop.signal },
  );
  return { result, folders: [...folders] };
}

it('the demo tells the main job and leaves nothing behind', { timeout: LIMIT_MS }, async () => {
  const { result, folders } = await demo();
  expect(result.stderr).toBe('');
  expect(result.exitCode).toBe(0);
  for (const part of [
    'joined with a one-time token',
    'the only one of 3 nodes that fits',
    '$ pct create',
    'container 100 on pve2 runs',
    'observed in inventory',
    'got SIGKILL',
    'Nothing is left on pve1',
    'Everything is stopped and removed',
  ])
    expect(result.stdout).toContain(part);
  expect(folders).not.toEqual([]);
  expect(await lastingTraces(folders)).toEqual([]);
});

it('the demo, stopped while it starts an agent, ends what it began and leaves nothing behind', {
  timeout: LIMIT_MS,
}, async () => {
  const { result, folders } = await demo('pve1 joined with a one-time token');
  expect(result.stderr).toBe('');
  expect(result.exitCode).toBe(130);
  expect(result.stdout).toContain('Everything is stopped and removed');
  expect(result.stdout).not.toContain('pve3 joined');
  expect(folders).not.toEqual([]);
  expect(await lastingTraces(folders)).toEqual([]);
});
