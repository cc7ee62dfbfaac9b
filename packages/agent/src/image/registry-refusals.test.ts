/** The real skopeo before a registry that refuses, slows down or asks for more than it gets. */
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@pxmgr/kit/clock';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { createLogger } from '@pxmgr/kit/log/logger';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { commandError } from '../host/stderr-map.ts';
import { BASE_LAYER, writeFixture } from './layout.fixture.ts';
import { FixtureRegistry, type Refusal } from './registry.fixture.ts';
import { ImageResolver } from './resolve.ts';
import { prepareSkopeo } from './setup.ts';
import { copyToLayout, inspectRaw, parsePlatform, type SkopeoSetup } from './skopeo.ts';

const runner = createRunner({
  path: '/usr/sbin:/usr/bin:/sbin:/bin',
  logger: createLogger({ service: 'test', version: '0', level: 'silent' }),
});
const LIMITED: Refusal = {
  status: 429,
  headers: { 'retry-after': '0' },
  code: 'TOOMANYREQUESTS',
  message: 'You have reached your pull rate limit.',
};

let folder: string;
let registry: FixtureRegistry;
let name: string;
let blobDir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pxmgr-refused-'));
  const { directory } = await writeFixture(await mkdtemp(join(folder, 'layout-')), {
    layers: [BASE_LAYER, [{ name: 'app', body: 'x'.repeat(200_000) }]],
  });
  registry = await FixtureRegistry.start(directory);
  name = `${registry.address}/team/app:1.0`;
  blobDir = join(folder, 'cache');
});
afterEach(async () => {
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

function setUp(changes: { registryAuthFile?: string; policyFile?: string } = {}): Promise<SkopeoSetup> {
  return prepareSkopeo({
    directory: join(folder, 'state'),
    registryAuthFile: '',
    policyFile: '',
    insecureRegistries: [registry.address],
    ...changes,
  });
}

async function fetchCommand(setup: SkopeoSetup): Promise<Command> {
  const layoutDir = join(folder, 'layouts', 'app');
  await mkdir(layoutDir, { recursive: true });
  await mkdir(blobDir, { recursive: true });
  const platform = parsePlatform('linux/amd64') ?? expect.fail();
  return copyToLayout(setup, { name, platform, layoutDir, imageName: 'image', sharedBlobDir: blobDir });
}

/** What the agent makes of the end of a command; '' when it went well. */
async function codeOf(command: Command): Promise<string> {
  const result = await runner.run(command);
  if (result.exitCode === 0) return '';
  return commandError(result, { reference: name, registry: registry.address }).code;
}

async function json(file: string, value: unknown): Promise<string> {
  await writeFile(join(folder, file), JSON.stringify(value));
  return join(folder, file);
}

describe('a rate limit', () => {
  it('of a registry that does not let up is named', async () => {
    registry.judge = ({ path }) => (path.includes('/manifests/') ? LIMITED : undefined);
    expect(await codeOf(inspectRaw(await setUp(), name))).toBe('PXM_REGISTRY_LIMIT');
    // skopeo itself asks five times (containers/image docker/docker_client.go).
    expect(registry.count('manifests')).toBe(5);
  });

  it('that ends in time is waited for, for manifests and for blobs', async () => {
    const left = { manifests: 2, blobs: 2 };
    registry.judge = ({ path }) => {
      const kind = path.includes('/manifests/') ? 'manifests' : 'blobs';
      if (path === '/v2/' || left[kind] === 0) return undefined;
      left[kind]--;
      return LIMITED;
    };
    expect(await codeOf(await fetchCommand(await setUp()))).toBe('');
    expect(left).toEqual({ manifests: 0, blobs: 0 });
    expect(await readdir(join(blobDir, 'sha256'))).toHaveLength(4);
  });

  it('is waited for as long as the registry says', async () => {
    let refused = 0;
    registry.judge = ({ path }) =>
      path.includes('/manifests/') && refused++ === 0 ? { ...LIMITED, headers: { 'retry-after': '1' } } : undefined;
    const started = Date.now();
    expect(await codeOf(inspectRaw(await setUp(), name))).toBe('');
    expect(Date.now() - started).toBeGreaterThanOrEqual(1000);
  });
});

describe('a registry that keeps us waiting for longer than anybody waits', () => {
  const impatient = (command: Command): Promise<CommandResult> =>
    runner.run({ ...command, timeoutMs: Math.min(command.timeoutMs, 3000), killGraceMs: 100 });

  it.each([
    ['because of its rate limit', { ...LIMITED, headers: { 'retry-after': '3600' } }, 'PXM_REGISTRY_LIMIT'],
    ['in the middle of an answer', { status: 200, stallAfter: 10 }, 'PXM_COMMAND_TIMEOUT'],
  ])('%s is told so', async (_why, refusal: Refusal, code) => {
    registry.judge = ({ path }) => (path.includes('/manifests/') ? refusal : undefined);
    const resolver = new ImageResolver(await setUp(), systemClock);
    await expect(resolver.resolve(name, 'linux/amd64', impatient)).rejects.toMatchObject({ code });
  });
});

describe('credentials', () => {
  const right = `Basic ${Buffer.from('web:secret').toString('base64')}`;
  const judgeWith = (): void => {
    registry.judge = ({ authorization }) =>
      authorization === right
        ? undefined
        : {
            status: 401,
            headers: { 'www-authenticate': 'Basic realm="test"' },
            code: 'UNAUTHORIZED',
            message: 'authentication required',
          };
  };
  const authFile = (login: string): Promise<string> =>
    json('auth.json', { auths: { [registry.address]: { auth: Buffer.from(login).toString('base64') } } });

  it('are taken from the named file', async () => {
    judgeWith();
    const setup = await setUp({ registryAuthFile: await authFile('web:secret') });
    expect(await codeOf(inspectRaw(setup, name))).toBe('');
  });

  it.each([
    ['none', undefined],
    ['wrong ones', 'web:wrong'],
  ])('that the registry does not take are named: %s', async (_title, login) => {
    judgeWith();
    const setup = await setUp(login === undefined ? {} : { registryAuthFile: await authFile(login) });
    expect(await codeOf(inspectRaw(setup, name))).toBe('PXM_IMAGE_PULL_DENIED');
  });
});

describe('a policy', () => {
  const run = async (rule: object): Promise<string> => {
    const policyFile = await json('policy.json', {
      default: [{ type: 'insecureAcceptAnything' }],
      transports: { docker: { [registry.address]: [rule] } },
    });
    return await codeOf(await fetchCommand(await setUp({ policyFile })));
  };

  it('that rejects the registry is named, and no blob is fetched', async () => {
    expect(await run({ type: 'reject' })).toBe('PXM_IMAGE_POLICY');
    expect(registry.count('blobs')).toBe(0);
  });

  it('that asks for a signature refuses an image without one', async () => {
    const keyPath = join(folder, 'key.gpg');
    await writeFile(keyPath, '');
    expect(await run({ type: 'signedBy', keyType: 'GPGKeys', keyPath })).toBe('PXM_IMAGE_POLICY');
    expect(registry.count('blobs')).toBe(0);
  });

  it('that accepts it lets it through', async () => {
    expect(await run({ type: 'insecureAcceptAnything' })).toBe('');
  });
});

describe('room for a copy', () => {
  const stalling = (path: string): Refusal | undefined =>
    path.includes('/blobs/') ? { status: 200, stallAfter: 10 } : undefined;

  it('is taken in --tmpdir for an archive, whatever TMPDIR says', async () => {
    registry.judge = ({ path }) => stalling(path);
    const named = join(folder, 'named');
    const unnamed = join(folder, 'unnamed');
    await mkdir(named);
    await mkdir(unnamed);
    const target = join(folder, 'app.tar');
    const running = runner.start({
      file: 'env',
      args: [
        `TMPDIR=${unnamed}`,
        ...['skopeo', '--insecure-policy', '--tmpdir', named, 'copy', '--src-tls-verify=false'],
        ...[`docker://${name}`, `oci-archive:${target}`],
      ],
      purpose: 'copy',
      timeoutMs: 30_000,
    });
    try {
      await vi.waitUntil(async () => (await readdir(named)).length > 0, { timeout: 10_000 });
      await vi.waitUntil(() => registry.count('blobs') > 0, { timeout: 10_000 });
      expect(await readdir(unnamed)).toEqual([]);
    } finally {
      running.terminate();
      await running.done;
    }
    // Killed before it was whole: nothing, or less than an archive.
    expect((await stat(target).catch(() => undefined))?.size ?? 0).toBe(0);
  });

  it('of a copy that was cut short holds no blob under its final name, and the next copy is whole', async () => {
    registry.judge = ({ path }) => stalling(path);
    const command = await fetchCommand(await setUp());
    const running = runner.start(command);
    await vi.waitUntil(() => registry.count('blobs') > 0, { timeout: 10_000 });
    await sleep(100);
    running.terminate();
    await running.done;
    expect((await readdir(join(blobDir, 'sha256')).catch(() => [])).filter((file) => file.length === 64)).toEqual([]);
    registry.judge = () => undefined;
    expect(await codeOf(command)).toBe('');
    expect((await readdir(join(blobDir, 'sha256'))).filter((file) => file.length === 64)).toHaveLength(4);
  });
});
