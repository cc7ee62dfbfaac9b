import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { PxmError } from '../error/pxm-error.ts';
import { forgetSecrets, redact } from '../log/redact.ts';
import { closest } from './closest.ts';
import { renderExample, renderReference } from './example.ts';
import { durationMs, field, namesOf, sizeBytes } from './field.ts';
import { type LoadOptions, loadConfig } from './load.ts';
import { showConfig } from './origin.ts';

const table = {
  listen: field({
    type: z.string().regex(/:\d+$/, 'must be host:port'),
    default: '0.0.0.0:7450',
    description: 'Where to listen.',
  }),
  hostRoot: field({ type: z.string(), default: '/', description: 'Root of the host.' }),
  poll: field({ type: durationMs(), default: '200ms', description: 'Poll period.', reload: true }),
  cache_size: field({ type: sizeBytes(), default: '20GiB', description: 'Cache limit.' }),
  workers: field({ type: z.number().int().min(1), default: 4, description: 'Workers.' }),
  verbose: field({ type: z.boolean(), default: false, description: 'More words.', reload: true }),
  registries: field({ type: z.array(z.string().min(1)), default: [], description: 'Plain-HTTP registries.' }),
  apiToken: field({ type: z.string().min(8).optional(), description: 'Token of the API.', secret: true }),
  name: field({ type: z.string(), description: 'Name of the node.', example: 'pve1' }),
};

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pxmgr-config-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  forgetSecrets();
});

function load(file: string | undefined, more: Partial<LoadOptions> = {}) {
  const path = join(folder, 'agent.yaml');
  if (file !== undefined) writeFileSync(path, file);
  return loadConfig(table, {
    program: 'pxmgr-agent',
    env: {},
    flags: {},
    envPrefix: 'PXMGR_AGENT_',
    ...(file === undefined ? {} : { file: path }),
    ...more,
  });
}

function problemsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof PxmError && error.code === 'PXM_CONFIG_INVALID')
      return (error.fields['problems'] ?? '').split('; ');
    throw error;
  }
  throw new Error('no problem was found');
}

describe('loadConfig', () => {
  it('merges default < file < env < flag and remembers origins', () => {
    const loaded = load('listen: a:1\nworkers: 8\npoll: 1s\nname: pve1\n', {
      env: {
        PXMGR_AGENT_WORKERS: '16',
        PXMGR_AGENT_POLL: '2s',
        PXMGR_AGENT_LISTEN: '',
        PXMGR_AGENT_VERBOSE: 'true',
        PXMGR_AGENT_REGISTRIES: 'a:5000, b:5000',
      },
      flags: { poll: '3s', 'host-root': '/x', unsetFlag: undefined },
    });
    expect(loaded.values).toEqual({
      listen: 'a:1',
      hostRoot: '/x',
      poll: 3000,
      cache_size: 20 * 2 ** 30,
      workers: 16,
      verbose: true,
      registries: ['a:5000', 'b:5000'],
      apiToken: undefined,
      name: 'pve1',
    });
    expect(loaded.origins).toMatchObject({
      listen: { kind: 'file', where: 'agent.yaml:1' },
      hostRoot: { kind: 'flag', where: '--host-root' },
      poll: { kind: 'flag' },
      workers: { kind: 'env', where: 'PXMGR_AGENT_WORKERS' },
      cache_size: { kind: 'default' },
    });
    expect(Object.isFrozen(loaded.values) && Object.isFrozen(loaded.values.registries)).toBe(true);
  });

  it('tells all problems at once with file, line and key', () => {
    const problems = problemsOf(() =>
      load('listne: a:1\nworkers: many\npoll: 5\ncache_size: 20\nregistries:\n  - a\n  - ""\napi_token: hush\n', {
        env: { PXMGR_AGENT_VERBOSE: 'perhaps', PXMGR_AGENT_WORKRES: '3', PXMGR_AGENT_OTHER_THING: 'x' },
        flags: { lisen: 'b' },
      }),
    );
    expect(problems).toHaveLength(10);
    expect(problems[0]).toBe('agent.yaml:1: listne is not known, did you mean listen?');
    const lines = problems.map((text) => /^agent\.yaml:(\d)/.exec(text)?.[1]).filter((line) => line !== undefined);
    expect(lines).toEqual(['1', '2', '3', '4', '7', '8']);
    expect(problems).toContain('agent.yaml:7: registries.1 must not be empty');
    expect(problems).toContain(
      'agent.yaml:8: api_token is a secret: put it into a file and name that file with api_token_file',
    );
    expect(problems).toContain('PXMGR_AGENT_WORKRES: is not known, did you mean PXMGR_AGENT_WORKERS?');
    expect(problems).toContain('--lisen: is not known, did you mean --listen?');
    expect(problems).toContain('agent.yaml:3: poll must be text with a unit, e.g. "30s"');
    expect(problems.some((text) => text.startsWith('agent.yaml:4: cache_size '))).toBe(true);
    expect(problems.some((text) => text.startsWith('agent.yaml:2: workers '))).toBe(true);
    expect(problems.some((text) => text.startsWith('agent.yaml:7: registries.1 '))).toBe(true);
    expect(problems.some((text) => text.startsWith('PXMGR_AGENT_VERBOSE: verbose '))).toBe(true);
    expect(problems).toContain('missing: name is required (PXMGR_AGENT_NAME, --name)');
  });

  it('names the line of a syntax error and a doubled key', () => {
    expect(problemsOf(() => load('name: a\nname: b\n')).some((text) => text.startsWith('agent.yaml:2: '))).toBe(true);
    expect(problemsOf(() => load('name: a\nlisten: [a\n')).some((text) => /^agent\.yaml:[23]: /.test(text))).toBe(true);
    expect(problemsOf(() => load('- a\n'))).toContain('agent.yaml:1: must be a list of "key: value" lines');
  });

  it('reads secrets from files and credentials, registers them, and shows only their length', () => {
    writeFileSync(join(folder, 'token'), 'open-sesame\n');
    const loaded = load(`name: x\napi_token_file: ${join(folder, 'token')}\n`);
    expect(loaded.values.apiToken).toBe('open-sesame');
    expect(redact('say open-sesame')).toBe('say ***');
    const shown = showConfig(table, loaded).find((one) => one.key === 'api_token');
    expect(shown).toMatchObject({ value: '(set, 11 characters)', isSecret: true, origin: { where: 'agent.yaml:2' } });
    writeFileSync(join(folder, 'api_token'), 'from-systemd');
    const systemd = load('name: x\n', { env: { CREDENTIALS_DIRECTORY: folder } });
    expect(systemd.values.apiToken).toBe('from-systemd');
    expect(systemd.origins.apiToken.kind).toBe('credential');
    expect(problemsOf(() => load('name: x\napi_token_file: /does/not/exist\n'))).toEqual([
      'agent.yaml:2: api_token_file /does/not/exist cannot be read (ENOENT)',
    ]);
  });

  it('tells an unreadable file from an absent optional one', () => {
    const file = join(folder, 'none.yaml');
    expect(() => load(undefined, { file, flags: { name: 'x' } })).toThrow('cannot be read: it does not exist');
    expect(load(undefined, { file, fileOptional: true, flags: { name: 'x' } }).values.name).toBe('x');
  });
});

describe('the table', () => {
  it('refuses two options that derive one name', () => {
    expect(() => namesOf({ fooBar: table.name, foo_bar: table.name }, 'X_')).toThrow('both have the file name foo_bar');
  });

  it('renders an example that loads back to the defaults', () => {
    const example = renderExample(table, { title: 'Configuration of the agent.', envPrefix: 'PXMGR_AGENT_' });
    expect(example).toContain('# Where to listen.\n#listen: 0.0.0.0:7450');
    expect(example).toContain('\nname: pve1\n');
    const all = example.replace(/^#(\w+:)/gm, '$1').replace(/^api_token_file:.*$/m, '');
    expect(load(all).values).toEqual(load('name: pve1\n').values);
    expect(renderReference(table, { title: 'Agent', envPrefix: 'PXMGR_AGENT_' })).toContain(
      '| `poll` | `200ms` | `PXMGR_AGENT_POLL` | `--poll` | reload | Poll period. |',
    );
  });

  it('guesses what was meant, and nothing when it is far off', () => {
    expect(closest('lsit', ['list', 'get'])).toBe('list');
    expect(closest('elephant', ['list', 'get'])).toBeUndefined();
  });
});
