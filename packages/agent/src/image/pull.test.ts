import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageSource } from '@pxmgr/contract/common';
import { systemClock } from '@pxmgr/kit/clock';
import type { RunningCommand } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { createLogger } from '@pxmgr/kit/log/logger';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Cluster } from '../host/cluster.ts';
import { HostPaths } from '../host/paths.ts';
import { BlobCache } from './blob-cache.ts';
import { BASE_LAYER, type FixtureImage, writeFixture } from './layout.fixture.ts';
import { type PullParts, type PullWork, previewPull, pullImage } from './pull.ts';
import { ImageResolver } from './resolve.ts';
import { prepareSkopeo } from './setup.ts';
import { TemplateStore } from './template-store.ts';

const logger = createLogger({ service: 'test', version: '0', level: 'silent' });
const runner = createRunner({ path: '/usr/sbin:/usr/bin:/sbin:/bin', logger });
let directory: string;
let registry: string;
let server: RunningCommand;

async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        resolve(typeof address === 'object' ? (address?.port ?? 0) : 0);
      });
    });
  });
}

/** Real skopeo pushes the fixture into the real registry. */
async function push(name: string, image: FixtureImage): Promise<string> {
  const { directory: layout } = await writeFixture(await mkdtemp(join(directory, 'push-')), image);
  const result = await runner.run({
    file: 'skopeo',
    args: ['--insecure-policy', 'copy', '--dest-tls-verify=false', `oci:${layout}`, `docker://${registry}/${name}`],
    purpose: 'push',
    timeoutMs: 30_000,
  });
  if (result.exitCode !== 0) throw new Error(result.stderr);
  return `${registry}/${name}`;
}

async function makeParts(): Promise<PullParts & { root: string }> {
  const root = await mkdtemp(join(directory, 'host-'));
  await mkdir(join(root, 'etc/pve'), { recursive: true });
  await writeFile(join(root, 'etc/pve/.members'), '{"nodename":"pve1","version":1}');
  await mkdir(join(root, 'var/lib/vz/template/cache'), { recursive: true });
  const images = join(root, 'state');
  const paths = new HostPaths(root);
  const setup = await prepareSkopeo({
    directory: images,
    registryAuthFile: '',
    insecureRegistries: [registry],
    policyFile: '',
  });
  const store = new TemplateStore(join(images, 'records'), paths);
  await store.load();
  const clock = systemClock;
  return {
    setup,
    resolver: new ImageResolver(setup, clock),
    cache: new BlobCache(images),
    store,
    paths,
    cluster: new Cluster(paths),
    clock,
    root,
  };
}

class RecordingWork implements PullWork {
  readonly warnings: string[] = [];
  readonly id = `op-${'0'.repeat(26)}`;
  readonly abort = new AbortController();
  readonly steps: string[] = [];
  readonly results: Record<string, string> = {};
  fetched = 0;
  get signal(): AbortSignal {
    return this.abort.signal;
  }
  step = async <T>(name: string, _title: string, body: () => Promise<T>): Promise<T> => {
    this.steps.push(name);
    return await body();
  };
  effect = <T>(_effect: unknown, body: () => Promise<T>): Promise<T> => body();
  run: PullWork['run'] = (command) => runner.run(command, { signal: this.signal });
  internal = (): void => undefined;
  bytes = (label: string, done: number): void => {
    if (label === 'fetch') this.fetched = done;
  };
  result = (name: string, value: string): void => {
    this.results[name] = value;
  };
  warn(text: string): void {
    this.warnings.push(text);
  }
}

function image(reference: string, digest = ''): ImageSource {
  return { reference, digest, platform: '', indexDigest: '', sizeBytes: 0n };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pxmgr-pull-'));
  const port = await freePort();
  registry = `127.0.0.1:${port}`;
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(directory, 'registry') } },
    http: { addr: registry },
  };
  await writeFile(join(directory, 'registry.json'), JSON.stringify(config));
  server = runner.start({
    file: 'docker-registry',
    args: ['serve', join(directory, 'registry.json')],
    purpose: 'registry',
    timeoutMs: 300_000,
  });
  await vi.waitUntil(async () => (await fetch(`http://${registry}/v2/`).catch(() => undefined))?.status === 200, {
    timeout: 10_000,
  });
});

afterAll(async () => {
  server.terminate();
  await server.done;
  await rm(directory, { recursive: true, force: true });
});

describe('pullImage against a real registry', () => {
  it('makes a verified archive once, and shares blobs between images', async () => {
    const parts = await makeParts();
    const app = await push('team/app:1.0', {
      layers: [BASE_LAYER, [{ name: 'app', body: 'one' }]],
      config: { User: 'web', Volumes: { '/data': {} } },
    });
    const work = new RecordingWork();
    const record = await pullImage(parts, { image: image(app), storage: '' }, work);
    expect(work.steps).toEqual(['resolve', 'fetch', 'verify', 'publish']);
    expect(record.document.volumeId).toMatch(/^local:vztmpl\/app_1\.0-[a-z0-9]+-[0-9a-f]{12}\.tar$/);
    expect(record.findings).toMatchObject({ uid: 1000, gid: 1001, osType: 'alpine', volumes: ['/data'] });
    expect(work.results).toEqual({ digest: record.document.digest, volid: record.document.volumeId });
    expect(work.fetched).toBeGreaterThan(0);
    const cache = join(parts.root, 'var/lib/vz/template/cache');
    expect(await readdir(cache)).toHaveLength(1);

    const again = new RecordingWork();
    await pullImage(parts, { image: image(app, record.document.digest), storage: 'local' }, again);
    expect(again.steps).toEqual(['resolve']);

    const blobs = (await readdir(join(parts.cache.sharedBlobDir, 'sha256'))).length;
    const second = await push('team/app:2.0', { layers: [BASE_LAYER, [{ name: 'app', body: 'two' }]] });
    await pullImage(parts, { image: image(second), storage: '' }, new RecordingWork());
    // Shared base layer: only manifest, configuration and one layer are new.
    expect(await readdir(join(parts.cache.sharedBlobDir, 'sha256'))).toHaveLength(blobs + 3);

    const reloaded = new TemplateStore(join(parts.root, 'state/records'), parts.paths);
    await reloaded.load();
    expect((await reloaded.find(record.document.digest))?.findings).toEqual(record.findings);
    await writeFile(join(cache, record.document.volumeId.slice('local:vztmpl/'.length)), 'cut');
    expect(await reloaded.find(record.document.digest)).toBeUndefined();
  });

  it('keeps the cache below its limit, the oldest image first, and never during a pull', async () => {
    const parts = await makeParts();
    const pull = async (name: string, body: string): Promise<string> => {
      const reference = await push(name, { layers: [BASE_LAYER, [{ name: 'x', body }]] });
      return (await pullImage(parts, { image: image(reference), storage: '' }, new RecordingWork())).document.digest;
    };
    const first = await pull('cache/one:1', 'one');
    const second = await pull('cache/two:1', 'two');
    await parts.cache.whilePulling(() => parts.cache.trim(0));
    expect(await parts.cache.readIndex(first)).toBeDefined();
    const blobs = await readdir(join(parts.cache.sharedBlobDir, 'sha256'));
    await parts.cache.trim(blobs.length * 10_000);
    expect(await parts.cache.readIndex(first)).toBeDefined();
    const sizes = await Promise.all(blobs.map((hex) => parts.cache.sizeOf(`sha256:${hex}`)));
    await parts.cache.trim(sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) - 1);
    expect(await parts.cache.readIndex(first)).toBeUndefined();
    expect(await parts.cache.readIndex(second)).toBeDefined();
    expect(await parts.store.find(first)).toBeDefined();
  });

  it('refuses a bad image with all its problems and publishes nothing', async () => {
    const parts = await makeParts();
    const bad = await push('bad:1', { layers: [BASE_LAYER], config: { User: 'nosuch', Cmd: ['a\nb'] } });
    await expect(pullImage(parts, { image: image(bad), storage: '' }, new RecordingWork())).rejects.toMatchObject({
      code: 'PXM_IMAGE_REJECTED',
      message: expect.stringMatching(/Cmd holds control characters; User "nosuch"/) as unknown,
    });
    expect(await readdir(join(parts.root, 'var/lib/vz/template/cache'))).toEqual([]);
    expect(parts.store.list()).toEqual([]);
  });

  it('fetches a damaged cached blob again', async () => {
    const parts = await makeParts();
    const name = await push('damaged:1', { layers: [BASE_LAYER, [{ name: 'x', body: 'y'.repeat(5000) }]] });
    const record = await pullImage(parts, { image: image(name), storage: '' }, new RecordingWork());
    await rm(join(parts.root, record.archivePath));
    const blob = parts.cache.blobPath(record.config.layerDigests[1]!);
    const bytes = await readFile(blob);
    await writeFile(blob, Buffer.alloc(bytes.length));
    await pullImage(parts, { image: image(name), storage: '' }, new RecordingWork());
    expect(await readFile(blob)).toEqual(bytes);
  });

  it('tells apart what can be wrong with a reference', async () => {
    const parts = await makeParts();
    const pull = (reference: string, storage = ''): Promise<unknown> =>
      pullImage(parts, { image: image(reference), storage }, new RecordingWork());
    await expect(pull(`${registry}/nothing:here`)).rejects.toMatchObject({ code: 'PXM_IMAGE_NOT_FOUND' });
    await expect(pull('127.0.0.1:1/app:1')).rejects.toMatchObject({ code: 'PXM_REGISTRY_UNREACHABLE' });
    await expect(pull('app:bad tag')).rejects.toMatchObject({ code: 'PXM_IMAGE_REF_INVALID' });
    await expect(pull(`${registry}/nothing:here`, 'nosuch')).rejects.toMatchObject({ code: 'PXM_STORAGE_NOT_FOUND' });
  });

  it('shows its commands without running them', async () => {
    const parts = await makeParts();
    const commands = previewPull(parts, {
      image: image('docker.io/library/nginx:1.27', `sha256:${'a'.repeat(64)}`),
      storage: '',
    });
    expect(commands[0]?.argv.slice(-2)[0]).toBe(`docker://docker.io/library/nginx@sha256:${'a'.repeat(64)}`);
    expect(commands.at(-1)?.purpose).toMatch(/local:vztmpl\/nginx_1\.27-/);
  });
});
