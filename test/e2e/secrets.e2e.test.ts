/** Secrets planted in a whole run, and every place searched in which they could turn up. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { systemClock } from '@pxmgr/kit/clock';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TEST_LIMIT_MS, TestFleet } from './fleet.ts';
import { processesOf } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const mark = (what: string): string => `secret-${what}-${randomBytes(12).toString('hex')}`;
const REGISTRY_PASSWORD = mark('registry');
const ENV_VALUE = mark('env');
const SAMPLE_MS = 20;
const READABLE = 64 * 1024 * 1024;

let fleet: TestFleet;
/** Words of the command lines of all our processes, while everything ran. */
const seen = new Set<string>();
/** Everything that the command line tool printed, token output excepted. */
const printed: string[] = [];
let token: string;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve1'], runtime: 'played', registryPassword: REGISTRY_PASSWORD });
  const image = await fleet.image('web');
  token = (await fleet.cli.text(['node', 'token', 'create', '--node', 'pve9'])).trim();
  const envFile = fleet.file('guest.env', `PASSWORD=${ENV_VALUE}\n`);
  const stopSampling = sampleArguments();
  const say = async (...args: string[]): Promise<void> => {
    const result = await fleet.cli.run(args);
    printed.push(result.stdout, result.stderr);
  };
  const wish = [image, '--env-from', envFile];
  await say('run', ...wish, '--name', 'web', '--dry-run', '--show-commands', '-o', 'json');
  await say('run', ...wish, '--name', 'web', '--show-commands');
  // Refused by the placement: the explanation is kept.
  await say('run', ...wish, '--name', 'huge', '--memory', '2TiB');
  await say('place', 'explain', ...wish, '-o', 'yaml');
  for (const kind of ['container', 'operation', 'node', 'reservation', 'image', 'change'])
    await say(kind, 'list', '-o', 'json');
  await say('container', 'get', 'web', '-o', 'json');
  // A plan that waits for its end when the search begins: its operation is held at the node.
  await fleet.node('pve1').kill();
  await say('run', ...wish, '--name', 'waits', '--detach');
  await stopSampling();
});
afterAll(async () => {
  await fleet.stop();
});

/** Looks at the command lines again and again until told to stop. */
function sampleArguments(): () => Promise<void> {
  const stop = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      for (const { argv } of processesOf(fleet.dir.root)) for (const word of argv) seen.add(word);
      await systemClock.sleep(SAMPLE_MS);
    }
  };
  const done = loop();
  return async () => {
    stop.abort();
    await done;
  };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    // Raw disks of guests are sparse and larger than what can be read at once; their content is the guest's own.
    return entry.isFile() && statSync(path).size < READABLE ? [path] : [];
  });
}

/** The secret as it may be written: plain, base64, and hexadecimal. */
function formsOf(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString('base64').slice(0, -4), bytes.toString('hex')].map((text) => Buffer.from(text));
}

/** Files of the whole fleet, relative to its folder, that hold the secret. */
function holders(secret: string): string[] {
  const forms = formsOf(secret);
  return filesBelow(fleet.dir.root)
    .filter((path) => {
      const content = readFileSync(path);
      return forms.some((form) => content.includes(form));
    })
    .map((path) => relative(fleet.dir.root, path))
    .sort();
}

/** Lines of PEM bodies: no key may be found outside its own file. */
function keyLine(path: string): string {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.find((line) => /^[A-Za-z0-9+/]{40,}$/.test(line)) ?? '';
}

describe('after a whole run', () => {
  it('really has looked at something', async () => {
    expect([...seen]).toEqual(expect.arrayContaining(['create', '--authfile']));
    expect(printed.join('')).toContain('pct create');
    expect(printed.join('')).toContain('PASSWORD');
    expect((await fleet.container('web')).status).toBe('running');
    expect(filesBelow(fleet.controller.stateDir).some((path) => path.endsWith('controller.db'))).toBe(true);
  });

  it('a value of --env-from is in the file of its user and in the configuration of the guest alone', () => {
    expect(holders(ENV_VALUE)).toEqual(['guest.env', expect.stringMatching(/^hosts\/pve1\/.*\/lxc\/100\.conf$/)]);
  });

  it('the password of the registry is in the credentials file of its user alone', () => {
    const base64 = Buffer.from(`tester:${REGISTRY_PASSWORD}`).toString('base64');
    expect(holders(REGISTRY_PASSWORD)).toEqual([]);
    expect(holders(base64)).toEqual(['registry/auth.json']);
  });

  it('the secret of a join token is stored nowhere', () => {
    expect(holders(token)).toEqual([]);
    const { s = '' } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      s?: string;
    };
    if (s !== '') expect(holders(s)).toEqual([]);
  });

  it('private keys are in their own files alone, which only their owner may read', () => {
    const keys = filesBelow(fleet.dir.root).filter((path) => readFileSync(path).includes('PRIVATE KEY-----'));
    expect(keys.length).toBeGreaterThan(2);
    for (const path of keys) {
      expect({ path, mode: statSync(path).mode & 0o077 }).toEqual({ path, mode: 0 });
      const line = keyLine(path);
      if (line !== '')
        expect(filesBelow(fleet.dir.root).filter((other) => readFileSync(other).includes(line))).toEqual([path]);
    }
  });

  it.each([
    ['command lines', () => [...seen].join('\n')],
    ['output of the command line tool', () => printed.join('\n')],
  ])('%s hold none of them', (_where, text) => {
    for (const secret of [ENV_VALUE, REGISTRY_PASSWORD, token])
      for (const form of formsOf(secret)) expect(text().includes(form.toString())).toBe(false);
  });
});
