import { chmod, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger, type Logger, silentLogger } from '../log/logger.ts';
import type { Command, Runner } from './command.ts';
import { commandFailed, expectSuccess } from './failure.ts';
import { createRunner } from './run.ts';

/** By then a script has set its trap, also where the machine is slow. */
const READY_MS = 2000;
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
let folder = '';
let runner: Runner;
let lines: string[] = [];

function capturingLogger(): Logger {
  lines = [];
  return createLogger({ service: 'test', version: '0', level: 'debug', stream: { write: (line) => lines.push(line) } });
}

/** A shell script made for the test; the runner itself never sees a shell string. */
async function script(body: string): Promise<string> {
  const path = join(folder, `tool-${String(Math.random()).slice(2)}`);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

function command(file: string, args: readonly string[] = [], more: Partial<Command> = {}): Command {
  return { file, args, purpose: 'test', timeoutMs: 20_000, ...more };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-exec-'));
  runner = createRunner({ path: PATH, logger: silentLogger() });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('run', () => {
  it('gives status, both streams and no error for a failing program', async () => {
    const result = await runner.run(command(await script('echo out; echo err >&2; exit 7')));
    expect(result).toMatchObject({
      exitCode: 7,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
      timedOut: false,
      cancelled: false,
      truncated: false,
    });
    expect(() => expectSuccess(result)).toThrow(/exit status 7\): err/);
  });

  it('passes argv as it is and only the clean environment', async () => {
    const tool = await script('printf "%s|" "$@"; env | cut -d= -f1 | sort | tr "\\n" " "');
    process.env['PXMGR_TEST_LEAK'] = 'x';
    const result = await runner.run(command(tool, ['a b', '$(id)', '*', ''], { env: { EXTRA: '1' } }));
    delete process.env['PXMGR_TEST_LEAK'];
    expect(result.stdout).toBe('a b|$(id)|*||EXTRA HOME LANG LC_ALL PATH PWD TERM ');
  });

  it('feeds stdin and survives a program that does not read it', async () => {
    expect((await runner.run(command('cat', [], { stdin: 'fed' }))).stdout).toBe('fed');
    expect((await runner.run(command('true', [], { stdin: 'x'.repeat(1_000_000) }))).exitCode).toBe(0);
  });

  it('refuses a missing or unusable program by code', async () => {
    await expect(runner.run(command('no-such-program'))).rejects.toMatchObject({
      code: 'PXM_COMMAND_NOT_FOUND',
      fields: { tool: 'no-such-program' },
    });
    const plain = join(folder, 'plain');
    await writeFile(plain, 'x', { mode: 0o644 });
    await expect(runner.run(command(plain))).rejects.toMatchObject({ code: 'PXM_COMMAND_NOT_FOUND' });
    await expect(runner.run(command('true', ['x'.repeat(3_000_000)]))).rejects.toMatchObject({
      code: 'PXM_COMMAND_FAILED',
    });
  });

  it.each([
    ['NUL', command('true', ['a\0b'])],
    ['lone surrogate', command('true', ['a\ud800'])],
    ['relative path', command('bin/true')],
    ['PATH in env', command('true', [], { env: { PATH: '/x' } })],
  ])('refuses before the spawn: %s', async (_name, bad) => {
    await expect(runner.run(bad)).rejects.toMatchObject({ code: 'PXM_INTERNAL' });
    expect(() => runner.start(bad)).toThrow('internal error');
  });

  it('keeps head and tail of a flood', async () => {
    const result = await runner.run(command('seq', ['1', '200000'], { maxOutputBytes: 2000 }));
    expect(result.truncated).toBe(true);
    expect(result.stdout.length).toBeLessThan(2100);
    expect(result.stdout.startsWith('1\n2\n')).toBe(true);
    expect(result.stdout.endsWith('199999\n200000\n')).toBe(true);
    expect(result.stdout).toMatch(/\[\d+ bytes left out\]/);
  });

  it('loses nothing that was written while this process stood still', async () => {
    const standStill = (): void => {
      const end = performance.now() + 800;
      while (performance.now() < end);
    };
    const tool = await script('echo early; (sleep 0.15; echo late) &');
    // Timers come first after it.
    const onLine = (): void => void setTimeout(() => setImmediate(standStill), 100);
    expect((await runner.run(command(tool), { onLine })).stdout).toBe('early\nlate\n');
  });

  it('does not wait for a background child that holds the pipe', async () => {
    const tool = await script('sleep 30 & echo $!; exit 3');
    const result = await runner.run(command(tool));
    expect(result).toMatchObject({ exitCode: 3, timedOut: false });
    process.kill(Number(result.stdout.trim()), 'SIGKILL');
  });

  it('hands open descriptors on as fd 3 and up', async () => {
    const path = join(folder, 'lock');
    const file = await open(path, 'w');
    const locked = await runner.run(command('flock', ['-n', '3'], { extraFds: [file.fd] }));
    expect(locked.exitCode).toBe(0);
    // The lock belongs to the shared open file: it outlives the flock program and keeps others out.
    expect((await runner.run(command('flock', ['-n', path, 'true']))).exitCode).toBe(1);
    await file.close();
    expect((await runner.run(command('flock', ['-n', path, 'true']))).exitCode).toBe(0);
  });
});

describe('ending a process', () => {
  it('sends SIGTERM at the deadline and lets the program clean up', async () => {
    const tool = await script(`trap 'echo cleaned; exit 9' TERM\nwhile :; do sleep 0.05; done`);
    const result = await runner.run(command(tool, [], { timeoutMs: READY_MS }));
    expect(result).toMatchObject({ timedOut: true, cancelled: false, exitCode: 9, stdout: 'cleaned\n' });
    expect(commandFailed(result).code).toBe('PXM_COMMAND_TIMEOUT');
  });

  it('sends SIGKILL when SIGTERM is ignored', async () => {
    const tool = await script(`trap '' TERM\necho ready\nwhile :; do sleep 0.05; done`);
    const result = await runner.run(command(tool, [], { timeoutMs: READY_MS, killGraceMs: 200 }));
    expect(result).toMatchObject({ timedOut: true, signal: 'SIGKILL', exitCode: null });
  });

  it('does the same when the signal is aborted, and does not start when it was before', async () => {
    const abort = new AbortController();
    const result = await runner.run(command('sleep', ['30']), { signal: abort.signal, onStart: () => abort.abort() });
    expect(result).toMatchObject({ cancelled: true, timedOut: false, signal: 'SIGTERM' });
    const never = await runner.run(command('no-such-program'), { signal: abort.signal });
    expect(never).toMatchObject({ cancelled: true, exitCode: null, signal: null });
  });
});

describe('start', () => {
  it('streams both ways', async () => {
    const running = runner.start(command('cat'));
    const { stdout } = running;
    running.stdin.end('hello');
    let text = '';
    for await (const chunk of stdout) text += String(chunk);
    expect(text).toBe('hello');
    expect((await running.done).exitCode).toBe(0);
  });

  it('holds a fast program back for a slow reader and loses nothing', async () => {
    const running = runner.start(command('seq', ['1', '100000'], { maxOutputBytes: 100 }));
    let bytes = 0;
    let turns = 0;
    for await (const chunk of running.stdout) {
      bytes += (chunk as Buffer).length;
      turns += 1;
      if (turns % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bytes).toBe(588_895);
    expect((await running.done).truncated).toBe(true);
  });

  it('ends on terminate and reports a missing program through done', async () => {
    const running = runner.start(command('sleep', ['30']));
    running.terminate();
    running.terminate();
    expect(await running.done).toMatchObject({ cancelled: true, signal: 'SIGTERM' });
    await expect(runner.start(command('no-such-program')).done).rejects.toMatchObject({
      code: 'PXM_COMMAND_NOT_FOUND',
    });
  });
});

describe('what is written down', () => {
  it('streams lines without secrets and control characters', async () => {
    const tool = await script(`printf 'a\\r\\nsecret=%s\\n10%%\\r20%%\\r\\033[31mred\\033[0m' "$1"`);
    const seen: string[] = [];
    await runner.run(command(tool, ['hunter22'], { secrets: ['hunter22'] }), {
      onLine: (stream, line) => seen.push(`${stream}:${line}`),
    });
    expect(seen).toEqual(['out:a', 'out:secret=***', 'out:10%', 'out:20%', 'out:red']);
  });

  it('logs a start and an end line and appends to the command log, masked', async () => {
    const commandLog = join(folder, 'commands.jsonl');
    const logging = createRunner({ path: PATH, logger: capturingLogger(), commandLog });
    await logging.run(command('true', ['--password', 'hunter22', 'x=hunter22'], { secrets: ['hunter22'] }), {
      operationId: 'op-1',
    });
    await logging.run(command('false', [], { readOnly: true }));
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged.map((line) => [line['msg'], line['level'], line['exit'], line['op']])).toEqual([
      ['command started', 'info', undefined, 'op-1'],
      ['command ended', 'info', 0, 'op-1'],
      ['command started', 'debug', undefined, undefined],
      ['command ended', 'debug', 1, undefined],
    ]);
    const written = await readFile(commandLog, 'utf8');
    expect(lines.join('') + written).not.toContain('hunter22');
    const records = written
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records[0]).toMatchObject({
      argv: ['true', '--password', '***', 'x=***'],
      purpose: 'test',
      exit: 0,
      signal: null,
      op: 'op-1',
      timedOut: false,
    });
    expect(records[1]).toMatchObject({ argv: ['false'], exit: 1 });
    expect((await stat(commandLog)).mode & 0o777).toBe(0o600);
  });
});
