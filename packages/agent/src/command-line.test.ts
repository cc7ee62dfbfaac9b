import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { configText, helpText, loadAgentConfig, parseCommandLine } from './command-line.ts';
import { AgentConfig } from './config.ts';

describe('parseCommandLine', () => {
  it.each([
    [[], { name: 'run' }],
    [['run'], { name: 'run' }],
    [['join', 'pxj1.x'], { name: 'join', token: 'pxj1.x', force: false }],
    [['--force', 'join', '-'], { name: 'join', token: '-', force: true }],
    [['config', 'check'], { name: 'config', verb: 'check' }],
    [['--version'], { name: 'version' }],
    [['join', '--help'], { name: 'help' }],
    [['-h'], { name: 'help' }],
    [['frob', '--version'], { name: 'version' }],
  ])('%j', (argv, command) => {
    expect(parseCommandLine(argv).command).toEqual(command);
  });

  it('takes options in both spellings', () => {
    const line = parseCommandLine(['run', '--config', '/x.yaml', '--listen=127.0.0.1:1', '--log-level', 'debug']);
    expect(line).toMatchObject({ configFile: '/x.yaml', flags: { listen: '127.0.0.1:1', 'log-level': 'debug' } });
  });

  it.each([[['frob']], [['config']], [['config', 'frob']], [['join']], [['run', 'x']], [['--listen']]])(
    'refuses %j',
    (argv) => {
      expect(() => parseCommandLine(argv)).toThrow(expect.objectContaining({ code: 'PXM_USAGE' }));
    },
  );
});

describe('configuration', () => {
  const load = (argv: string[], env: NodeJS.ProcessEnv = {}) => loadAgentConfig(parseCommandLine(argv), env).values;

  it('works without a file, and takes flags before the environment before the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pxmgr-agent-'));
    onTestFinished(() => {
      rmSync(folder, { recursive: true });
    });
    const file = join(folder, 'agent.yaml');
    writeFileSync(
      file,
      'state_dir: /srv/state\npoll_interval: 100ms\nlog_level: warn\ninsecure_registries: [localhost:5000]\n',
    );
    const values = load(['--config', file, '--log-level', 'trace'], {
      PXMGR_AGENT_POLL_INTERVAL: '50ms',
      PXMGR_AGENT_LOG_LEVEL: 'error',
    });
    expect(values).toMatchObject({
      stateDir: '/srv/state',
      pollInterval: 50,
      logLevel: 'trace',
      insecureRegistries: ['localhost:5000'],
      hostRoot: '/',
    });
    expect(load([])).toMatchObject({ stateDir: '/var/lib/pxmgr-agent', listen: '0.0.0.0:7450', pollInterval: 200 });
  });

  it('reports all problems at once', () => {
    const wrong = () =>
      load([
        '--listen',
        'nowhere',
        '--state-dir',
        'relative',
        '--poll-interval',
        '5',
        '--metrics-listen',
        '0.0.0.0:1',
        '--node-name',
        '-x-',
      ]);
    expect(wrong).toThrow(expect.objectContaining({ message: expect.stringContaining('5 problem') as string }));
  });

  it('prints an example that is itself valid, and help with every option', () => {
    const example = configText('example', parseCommandLine([]), {});
    const uncommented = example
      .split('\n')
      .map((line) => line.replace(/^#(?=[a-z_]+:)/, ''))
      .join('\n');
    expect(Object.keys(parse(uncommented) as object)).toHaveLength(Object.keys(AgentConfig).length);
    for (const key of Object.keys(parse(uncommented) as object))
      expect(helpText()).toContain(`--${key.replaceAll('_', '-')}`);
    expect(configText('check', parseCommandLine([]), {})).toContain('valid');
    expect(configText('show', parseCommandLine(['--listen', '127.0.0.1:1']), {})).toMatch(
      /^listen +127\.0\.0\.1:1 {2}\(--listen\)$/m,
    );
  });
});
