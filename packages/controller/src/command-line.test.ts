import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configText, helpText, parseCommandLine, sourceOf } from './command-line.ts';
import { CONFIG, loadControllerConfig } from './config.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-cl-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const load = (flags: Record<string, string> = {}, env: Record<string, string> = {}, file?: string) =>
  loadControllerConfig({ file, env, flags });

describe('the command line', () => {
  it('knows its commands', () => {
    expect(parseCommandLine([]).command).toEqual({ name: 'run' });
    expect(parseCommandLine(['run', '--listen', '127.0.0.1:1', '--config=x.yaml'])).toEqual({
      command: { name: 'run' },
      configFile: 'x.yaml',
      flags: { listen: '127.0.0.1:1' },
    });
    expect(parseCommandLine(['config', 'check', '--help']).command).toEqual({ name: 'help' });
  });

  it.each([[['frobnicate']], [['run', 'twice']], [['--listen']], [['config']], [['config', 'frobnicate']]])(
    'refuses %j',
    (argv) => {
      expect(() => parseCommandLine(argv)).toThrow(expect.objectContaining({ code: 'PXM_USAGE' }));
    },
  );

  it('mentions every option in its help', () => {
    const text = helpText();
    for (const key of Object.keys(CONFIG)) expect(text).toContain(`--${key.replaceAll('_', '-')}`);
  });
});

describe('the configuration', () => {
  it('comes from defaults, file, environment and flags, in this order', async () => {
    const file = join(folder, 'c.yaml');
    await writeFile(
      file,
      'listen: 127.0.0.1:1\njoin_listen: 127.0.0.1:2\nvmid_first: 200\nadvertise: [a.example.org]\n',
    );
    const env = { PXMGR_CONTROLLER_JOIN_LISTEN: '127.0.0.1:3', PXMGR_CONTROLLER_VMID_FIRST: '300' };
    expect(load({ 'vmid-first': '400' }, env, file).values).toMatchObject({
      listen: '127.0.0.1:1',
      join_listen: '127.0.0.1:3',
      vmid_first: 400,
      advertise: ['a.example.org'],
      nats_listen: '0.0.0.0:4222',
      change_retention: 365 * 86_400_000,
    });
  });

  it('tells all problems at once, each with its place', async () => {
    const file = join(folder, 'c.yaml');
    await writeFile(file, 'listn: 127.0.0.1:1\nvmid_first: 5\nchange_retention: 30\n');
    expect(() => load({}, {}, file)).toThrow(/3 problems:.*listn.*did you mean listen.*vmid_first.*change_retention/s);
  });

  it.each([
    [{ 'vmid-first': '500', 'vmid-last': '400' }, /vmid_first is above vmid_last/],
    [{ 'nats-url': 'tls://nats:4222' }, /nats_keys_file/],
    [{ 'metrics-listen': '0.0.0.0:9444' }, /metrics_listen must be on 127.0.0.1/],
  ])('sees contradictions: %j', (flags, message) => {
    expect(() => load(flags as unknown as Record<string, string>)).toThrow(message);
  });

  it('shows where each value is from and never a secret', async () => {
    const keys = join(folder, 'keys.json');
    await writeFile(keys, 'SECRET-SEEDS');
    const line = parseCommandLine(['config', 'show', '--nats-keys-file', keys]);
    const text = configText('show', sourceOf(line, {}));
    expect(text).toMatch(/nats_keys +\(set, 12 characters\) +\(--nats-keys-file\)/);
    expect(text).not.toContain('SECRET-SEEDS');
    expect(text).toMatch(/log_level +info +\(default\)/);
    expect(configText('example', sourceOf(line, {}))).toContain('#listen: 0.0.0.0:7443');
  });
});
