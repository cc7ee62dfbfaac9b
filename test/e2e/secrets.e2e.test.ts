/** Secrets planted in a whole run, and every place searched in which they could turn up. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseJoinToken } from '@pxmgr/contract';
import { systemClock } from '@pxmgr/kit/clock';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TEST_LIMIT_MS, TestFleet } from './fleet.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const mark = (what: string): string => `secret-${what}-${randomBytes(12).toString('hex')}`;
const REGISTRY_PASSWORD = mark('registry');
const ENV_VALUE = mark('env');
const SAMPLE_MS = 20;
/** Seeds of nkeys: S, the kind, 56 more characters of base32. */
const KEY_OR_SEED = 'PRIVATE KEY-----|S[OAU][A-Z2-7]{56}';

/** The only places of each kind, each with its reason. */
const ALLOWED = {
  env: [
    // What the user wrote.
    /^guest\.env$/,
    // The guest's configuration, where Proxmox VE keeps its environment; 100 is the one that stays.
    /^hosts\/pve1\/\.sim\/cluster\/nodes\/pve1\/lxc\/100\.conf$/,
    // What LXC was started with: on a node /var/lib/lxc/100/config.
    /^hosts\/pve1\/\.sim\/lxc\/px-[0-9a-f]+-100\/config$/,
  ],
  // containers-auth.json(5); htpasswd holds a bcrypt hash.
  registry: [/^registry\/auth\.json$/],
  // Printed once, kept as a hash.
  token: [],
} as const;

/** Identity of the agent on TLS and on the bus, keys of the bus and its server, and of the authority. */
const KEY_FILES = [
  'agent-pve1/identity/agent.key',
  'agent-pve1/identity/nats.seed',
  'controller/nats/keys.json',
  'controller/nats/server.key',
  'controller/pki/ca.key',
];

let fleet: TestFleet;
/** Command lines and environments of all our processes, while everything ran. */
const seen = { words: new Set<string>(), variables: new Set<string>() };
/** Everything that the command line tool printed. */
const printed: string[] = [];
let unusedToken: string;

beforeAll(async () => {
  const stopSampling = sampleProcesses();
  fleet = await TestFleet.start({ nodes: ['pve1'], runtime: 'here', registryPassword: REGISTRY_PASSWORD });
  const image = await fleet.image('web');
  unusedToken = (await fleet.cli.text(['node', 'token', 'create', '--node', 'pve9'])).trim();
  await useFleet(image);
  await stopSampling();
});
afterAll(async () => {
  await fleet.stop();
});

async function useFleet(image: string): Promise<void> {
  const say = async (...args: string[]): Promise<number | null> => {
    const result = await fleet.cli.run(args);
    printed.push(result.stdout, result.stderr);
    return result.exitCode;
  };
  const wish = [image, '--env-from', fleet.file('guest.env', `PASSWORD=${ENV_VALUE}\n`), '--ready', 'running'];
  await say('run', ...wish, '--name', 'web', '--dry-run', '--show-commands', '-o', 'json');
  expect(await say('run', ...wish, '--name', 'web', '--show-commands')).toBe(0);
  // A played guest has no programs.
  expect(await say('container', 'exec', 'web', '--', 'true')).toEqual(
    fleet.runtime.kind === 'lxc' ? 0 : expect.any(Number),
  );
  expect(await say('run', ...wish, '--name', 'gone')).toBe(0);
  expect(await say('container', 'destroy', 'gone', '--force', '--yes')).toBe(0);
  // Refused by the placement: the explanation is kept.
  await say('run', ...wish, '--name', 'huge', '--memory', '2TiB');
  await say('place', 'explain', ...wish, '-o', 'yaml');
  for (const kind of ['container', 'operation', 'node', 'reservation', 'image', 'change'])
    await say(kind, 'list', '-o', 'json');
  await say('container', 'get', 'web', '-o', 'json');
  // A plan that waits for its end when the search begins: its operation is held at the node.
  await fleet.node('pve1').kill();
  await say('run', ...wish, '--name', 'waits', '--detach');
}

/** Looks at all processes that this one started, again and again until told to stop. */
function sampleProcesses(): () => Promise<void> {
  const stop = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      for (const pid of ownProcesses()) {
        for (const word of procText(pid, 'cmdline').split('\0')) seen.words.add(word);
        for (const variable of procText(pid, 'environ').split('\0')) seen.variables.add(variable);
      }
      await systemClock.sleep(SAMPLE_MS);
    }
  };
  const done = loop();
  return async () => {
    stop.abort();
    await done;
  };
}

/** Descendants of this process outside of guests: what a guest's own processes know is the guest's. */
function ownProcesses(): string[] {
  const parents = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => [pid, /^.*\) \S+ (\d+)/s.exec(procText(pid, 'stat'))?.[1] ?? '0']),
  );
  const isBelow = (pid: string): boolean => {
    const parent = parents.get(pid) ?? '0';
    return parent === String(process.pid) || (parent !== '0' && isBelow(parent));
  };
  const isOurs = (pid: string): boolean => isBelow(pid) || procText(pid, 'cmdline').includes('/pxmgr-e2e-');
  return [...parents.keys()].filter((pid) => isOurs(pid) && namespaceOf(pid) === namespaceOf('self'));
}

/** Empty when the process ended meanwhile. */
function procText(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return '';
  }
}

/** The secret as it may be written: plain, hexadecimal, and base64 at each of the three places of a group. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const inBase64 = [0, 1, 2].flatMap((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const own = text.slice(shift === 0 ? 0 : shift + 1, -2);
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [...new Set([secret, bytes.toString('hex'), ...inBase64])];
}

/** Files of the whole fleet, relative to its folder, that hold one of the texts; the texts are in no argument. */
async function holders(texts: readonly string[]): Promise<string[]> {
  return await search(['-F', '-f', '-'], `${texts.join('\n')}\n`);
}

async function search(how: readonly string[], stdin = ''): Promise<string[]> {
  const result = await fleet.dir.runner.run({
    file: 'grep',
    // A guest's disk is the guest's own, and large.
    args: ['-rlas', '--devices=skip', '--exclude=vm-*-disk-*.raw', ...how, fleet.dir.root],
    stdin,
    purpose: 'look for secrets',
    timeoutMs: TEST_LIMIT_MS,
    maxOutputBytes: 16 * 1024 * 1024,
  });
  return result.stdout
    .split('\n')
    .filter((path) => path !== '')
    .map((path) => relative(fleet.dir.root, path))
    .sort();
}

function beyond(found: readonly string[], allowed: readonly RegExp[]): string[] {
  return found.filter((path) => !allowed.some((pattern) => pattern.test(path)));
}

function secretsOf(tokens: readonly string[]): string[] {
  return tokens.flatMap((token) => [token, parseJoinToken(token)?.secret ?? '']);
}

/** Files that hold private keys or seeds, wherever they are. */
async function keyFiles(): Promise<string[]> {
  const found = await search(['-E', `-e${KEY_OR_SEED}`]);
  return found.filter((path) => secretLines(path).length > 0);
}

/** Lines of PEM bodies, and seeds of the bus. */
function secretLines(path: string): string[] {
  const text = readFileSync(join(fleet.dir.root, path), 'utf8');
  const bodies = text.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+/g) ?? [];
  const lines = bodies.flatMap((body) => body.match(/[A-Za-z0-9+/=]{40,}/g) ?? []);
  return [...lines, ...(text.match(/\bS[OAU][A-Z2-7]{56}\b/g) ?? [])];
}

describe('after a whole run', () => {
  it('really has looked at something', async () => {
    for (const word of ['create', '--authfile']) expect([...seen.words]).toContain(word);
    expect([...seen.variables].some((one) => one.startsWith('PXMGR_CONTROLLER='))).toBe(true);
    expect(printed.join('')).toContain('pct create');
    expect(printed.join('')).toContain('PASSWORD');
    expect((await fleet.container('web')).status).toBe('running');
    for (const name of ['gone', 'huge']) expect((await fleet.containers()).map((one) => one.name)).not.toContain(name);
  });

  it('a value of --env-from is in the file of its user and in the configuration of the guest alone', async () => {
    const found = await holders(formsOf(ENV_VALUE));
    expect(found).toContain('guest.env');
    expect(beyond(found, ALLOWED.env)).toEqual([]);
  });

  it('the password of the registry is in the credentials file of its user alone', async () => {
    const found = await holders(formsOf(REGISTRY_PASSWORD));
    expect(found).toHaveLength(1);
    expect(beyond(found, ALLOWED.registry)).toEqual([]);
  });

  it('the secrets of join tokens, used or not, are stored nowhere', async () => {
    expect(fleet.joinTokens).toHaveLength(1);
    const secrets = secretsOf([...fleet.joinTokens, unusedToken]);
    expect(secrets.every((secret) => secret.length >= 16)).toBe(true);
    expect(beyond(await holders(secrets.flatMap(formsOf)), ALLOWED.token)).toEqual([]);
  });

  it('private keys and seeds are in their own files alone, which only their owner may read', async () => {
    const files = await keyFiles();
    expect(files).toEqual(KEY_FILES);
    for (const path of files) {
      expect({ path, mode: statSync(join(fleet.dir.root, path)).mode & 0o077 }).toEqual({ path, mode: 0 });
      for (const line of secretLines(path))
        expect({ path, in: await holders(formsOf(line)) }).toEqual({ path, in: [path] });
    }
  });

  it.each([
    ['command lines', () => [...seen.words].join('\n')],
    ['environments', () => [...seen.variables].join('\n')],
    ['output of the command line tool', () => printed.join('\n')],
  ])('%s hold none of them', async (_where, text) => {
    const keys = (await keyFiles()).flatMap(secretLines);
    const secrets = [ENV_VALUE, REGISTRY_PASSWORD, ...secretsOf([...fleet.joinTokens, unusedToken]), ...keys];
    const where = text();
    // The index alone: a failing test must not print the secret.
    const leaked = secrets.flatMap((secret, index) =>
      formsOf(secret).some((form) => where.includes(form)) ? [index] : [],
    );
    expect(leaked).toEqual([]);
  });
});
