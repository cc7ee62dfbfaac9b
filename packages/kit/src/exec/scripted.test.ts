import { describe, expect, it } from 'vitest';
import type { Command } from './command.ts';
import { displayCommand } from './command.ts';
import { ScriptedRunner } from './scripted.ts';

function command(file: string, ...args: string[]): Command {
  return { file, args, purpose: 'test', timeoutMs: 1000 };
}

describe('ScriptedRunner', () => {
  it('answers in any order by default and checks that all ran', async () => {
    const runner = new ScriptedRunner()
      .expect('pct start 101', { stderr: 'locked\n', exit: 255 })
      .expect({ file: 'pct', args: ['stop', /^\d+$/] });
    expect((await runner.run(command('pct', 'stop', '7'))).exitCode).toBe(0);
    expect(() => {
      runner.assertDone();
    }).toThrow('never ran: pct start 101');
    expect(await runner.run(command('pct', 'start', '101'))).toMatchObject({ exitCode: 255, stderr: 'locked\n' });
    runner.assertDone();
    expect(runner.calls.map(displayCommand)).toEqual(['pct stop 7', 'pct start 101']);
  });

  it('fails on a surprise and names what it wanted, also when the code under test swallows it', async () => {
    const runner = new ScriptedRunner({ ordered: true })
      .expect('zfs list -Hp')
      .expect('zpool list -Hp')
      .allow('uname', { stdout: 'x' });
    await runner.run(command('uname'));
    await expect(runner.run(command('zpool', 'list', '-Hp'))).rejects.toThrow(
      /unexpected command:\n {2}zpool list -Hp\nexpected next:\n {2}zfs list -Hp/,
    );
    expect(() => {
      runner.assertDone();
    }).toThrow('surprise: zpool list -Hp');
  });

  it('streams lines, waits for a promise, and is cancelled by the signal', async () => {
    let open: () => void = () => undefined;
    const wait = new Promise<void>((resolve) => {
      open = resolve;
    });
    const runner = new ScriptedRunner()
      .expect('pct create', { lines: ['10%', '20%'], wait })
      .expect('pct create', { wait: new Promise(() => undefined) });
    const seen: string[] = [];
    const running = runner.run(command('pct', 'create'), { onLine: (_stream, line) => seen.push(line) });
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(['10%', '20%']);
    open();
    expect(await running).toMatchObject({ exitCode: 0, stdout: '10%\n20%\n', cancelled: false });
    const abort = new AbortController();
    const second = runner.run(command('pct', 'create'), { signal: abort.signal });
    abort.abort();
    expect(await second).toMatchObject({ cancelled: true, exitCode: null, signal: 'SIGTERM' });
  });
});

describe('displayCommand', () => {
  it('quotes for a shell, masks, and cannot write to the terminal', () => {
    expect(
      displayCommand({ ...command('pct', 'set', "it's", 'pw=hunter22', 'a\u001b[2Jb\nc'), secrets: ['hunter22'] }),
    ).toBe(`pct set 'it'\\''s' 'pw=***' $'a\\x1b[2Jb\\x0ac'`);
  });
});
