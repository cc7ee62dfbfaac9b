import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { describe, expect, it } from 'vitest';
import { COMMANDS, NOUNS } from './commands/all.ts';
import { type Invocation, parseInvocation } from './program.ts';

function parse(...argv: string[]): Invocation {
  return parseInvocation(
    { name: 'pxmgr', summary: 'test', version: 'pxmgr 0', commands: COMMANDS, nouns: NOUNS, width: 80 },
    argv,
  );
}

function refusal(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    if (isPxmError(error, 'PXM_USAGE')) return error.message;
    throw error;
  }
  return 'accepted';
}

describe('argv', () => {
  it('names a command, its arguments and its options', () => {
    const invocation = parse('container', 'list', '--node', 'pve1', '--tag', 'a', '--tag', 'b', '-o', 'json');
    expect(invocation).toMatchObject({
      kind: 'command',
      command: { path: 'container list' },
      input: { args: [], options: { node: 'pve1', tag: ['a', 'b'], running: false } },
      globals: { output: 'json' },
    });
  });

  it('takes the options of every command before the noun, too', () => {
    expect(parse('-o', 'yaml', 'status')).toMatchObject({ globals: { output: 'yaml' } });
    expect(parse('container', '-o', 'name', 'list')).toMatchObject({ globals: { output: 'name' } });
  });

  it('leaves the words of another program alone', () => {
    expect(parse('container', 'exec', 'web', '--', 'ls', '-la', '--output', 'x')).toMatchObject({
      input: { args: ['web', 'ls', '-la', '--output', 'x'] },
    });
    expect(parse('container', 'exec', 'web', '-i', '--', 'sh', '-c', 'true', '--', 'x')).toMatchObject({
      input: { args: ['web', 'sh', '-c', 'true', '--', 'x'], options: { input: true } },
    });
    expect(refusal('container', 'exec', 'web', 'ls', '-la')).toMatch(/unknown option "-la"/);
  });

  it('is the command at its place, whatever other commands its words would make', () => {
    expect(parse('container', 'get', 'list')).toMatchObject({ command: { path: 'container get' } });
    expect(parse('container', 'exec', 'run', '--', 'node', 'list')).toMatchObject({
      command: { path: 'container exec' },
    });
    expect(refusal('image', 'container', 'list')).toMatch(/container/);
    expect(refusal('pause', 'container', 'list')).toMatch(/pause/);
  });

  it('knows an option whose value may be missing', () => {
    expect(parse('run', 'nginx', '--gpu')).toMatchObject({ input: { args: ['nginx'], options: { gpu: true } } });
    expect(parse('run', 'nginx', '--gpu', 'amd')).toMatchObject({ input: { options: { gpu: 'amd' } } });
  });

  it.each([
    [['container', 'lst'], /lst.*list/],
    [['contianer'], /contianer.*container/],
    [['container', 'list', '--nod', 'x'], /--nod.*--node/],
    [['container', 'get'], /CONTAINER/],
    [['container', 'snapshot', 'create'], /needs CONTAINER \(.*\) and SNAPSHOT \(/],
    [['container', 'snapshot', 'create', 'web'], /needs SNAPSHOT \(/],
    [['container', 'exec'], /needs CONTAINER \(.*\) and PROGRAM \(/],
    [['container', 'clone', '--full'], /needs CONTAINER \(.*\) and NAME \(/],
    [['container', 'list', 'extra'], /too many arguments/],
    [['container', 'list', '-o', 'xml'], /^--output xml: is not one of table, wide/],
    [['container', 'list', '--node'], /^--node needs a value: NODE/],
    [['run'], /SOURCE/],
  ])('%j is refused with a word on what was meant', (argv, message) => {
    expect(refusal(...argv)).toMatch(message);
  });

  it('asks for help at every level', () => {
    for (const argv of [[], ['--help'], ['container'], ['node', 'token'], ['container', '--help'], ['run', '-h']]) {
      const page = parse(...argv);
      expect(page.kind === 'help' ? page.text : '', argv.join(' ')).toContain('Usage: pxmgr');
    }
    expect(parse('--version')).toEqual({ kind: 'help', text: 'pxmgr 0\n' });
  });
});

describe('every command', () => {
  it.each(COMMANDS.map((command) => [command.path, command] as const))(
    '%s has a help page that fits 80 columns',
    (path, command) => {
      const page = parse(...path.split(' '), '--help');
      const text = page.kind === 'help' ? page.text : '';
      expect(text).toContain(command.summary.split(' ')[0] ?? '');
      const wide = text.split('\n').filter((line) => line.length > 80 && !line.startsWith('  pxmgr '));
      expect(wide).toEqual([]);
    },
  );

  it('does not use one flag twice', () => {
    for (const command of COMMANDS) {
      const flags = Object.values(command.options).flatMap((option) => [
        option.flag,
        ...(option.short === undefined ? [] : [option.short]),
      ]);
      expect(new Set(flags).size, command.path).toBe(flags.length);
    }
  });
});
