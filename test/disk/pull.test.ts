/** Disks that run full in the middle of a pull, with the real skopeo: it is said which, nothing stays, and with room it goes on. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@pxmgr/kit/clock';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../../packages/agent/src/host/cluster.ts';
import { HostPaths } from '../../packages/agent/src/host/paths.ts';
import { BlobCache } from '../../packages/agent/src/image/blob-cache.ts';
import { BASE_LAYER, writeFixture } from '../../packages/agent/src/image/layout.fixture.ts';
import { type PullParts, type PullWork, pullImage } from '../../packages/agent/src/image/pull.ts';
import { FixtureRegistry } from '../../packages/agent/src/image/registry.fixture.ts';
import { ImageResolver } from '../../packages/agent/src/image/resolve.ts';
import { prepareSkopeo } from '../../packages/agent/src/image/setup.ts';
import { TemplateStore } from '../../packages/agent/src/image/template-store.ts';
import { treeOf } from '../e2e/traces.ts';
import { SmallDisk } from './small-disk.ts';

/** Beyond what a pull wants to leave free. */
const SIZE_KIB = 96 * 1024;
const disks = { cache: await SmallDisk.mount(SIZE_KIB), archives: await SmallDisk.mount(SIZE_KIB) };
const isHere = disks.cache !== undefined && disks.archives !== undefined;

let folder = '';
let registry: FixtureRegistry;
let parts: PullParts;
/** Digest of the large one. */
let layer: string;
beforeAll(async () => {
  if (!isHere) return;
  folder = mkdtempSync(join(tmpdir(), 'pxmgr-pull-'));
  const app = { name: 'app', body: randomBytes(1024 * 1024).toString('hex') };
  mkdirSync(join(folder, 'layout'));
  const { directory, layerDigests } = await writeFixture(join(folder, 'layout'), { layers: [BASE_LAYER, [app]] });
  layer = layerDigests.at(-1) ?? expect.fail();
  registry = await FixtureRegistry.start(directory);
  parts = await makeParts();
});
afterEach(() => {
  registry.judge = () => undefined;
  for (const disk of Object.values(disks)) disk?.free();
});
afterAll(async () => {
  if (!isHere) return;
  await registry.stop();
  rmSync(folder, { recursive: true });
  for (const disk of Object.values(disks)) await disk?.unmount();
});

async function makeParts(): Promise<PullParts> {
  const root = join(folder, 'host');
  mkdirSync(join(root, 'etc/pve'), { recursive: true });
  mkdirSync(join(root, 'var/lib/vz/template'), { recursive: true });
  writeFileSync(join(root, 'etc/pve/.members'), '{"nodename":"pve1","version":1}');
  symlinkSync(disks.archives?.path ?? '', join(root, 'var/lib/vz/template/cache'));
  const images = join(disks.cache?.path ?? '', 'images');
  const paths = new HostPaths(root);
  const insecureRegistries = [registry.address];
  const setup = await prepareSkopeo({ directory: images, registryAuthFile: '', insecureRegistries, policyFile: '' });
  const store = new TemplateStore(join(images, 'records'), paths);
  await store.load();
  const clock = systemClock;
  const resolver = new ImageResolver(setup, clock);
  return { setup, resolver, cache: new BlobCache(images), store, paths, cluster: new Cluster(paths), clock };
}

const runner = createRunner({ path: '/usr/sbin:/usr/bin:/sbin:/bin', logger: silentLogger() });

/** `onBytes` is told of progress. */
async function pull(onBytes: (label: string) => void = () => undefined): Promise<unknown> {
  const work: PullWork = {
    id: `op-${'0'.repeat(26)}`,
    signal: new AbortController().signal,
    step: (_name, _title, body) => body(),
    effect: (_effect, body) => body(),
    run: (command) => runner.run(command),
    internal: () => undefined,
    bytes: onBytes,
    result: () => undefined,
    warn: () => undefined,
  };
  const reference = `${registry.address}/team/app:1.0`;
  const image = { reference, digest: '', platform: '', indexDigest: '', sizeBytes: 0n };
  return await pullImage(parts, { image, storage: '' }, work);
}

/** Whole blobs may stay in the cache; nothing half, and nothing that takes the last room. */
function leftovers(): string[] {
  const cache = treeOf(join(disks.cache?.path ?? '', 'images'), [/^\/(?:blobs|policy\.json|auth\.json)/]);
  const files = [...cache].filter(([path, kind]) => kind === 'file' && !/^\/[^/]+\.json$/.test(path));
  return [...files.map(([path]) => path), ...readdirSync(disks.archives?.path ?? '')];
}

describe.skipIf(!isHere)('a disk that runs full', () => {
  it('under the cache while skopeo copies is named by its folder, and nothing half stays', async () => {
    registry.judge = ({ path }) => {
      if (path.includes(layer)) disks.cache?.fill(64 * 1024);
      return undefined;
    };
    await expect(pull()).rejects.toMatchObject({
      code: 'PXM_DISK_FULL',
      fields: { path: parts.cache.sharedBlobDir },
    });
    disks.cache?.free();
    expect(leftovers()).toEqual([]);
  });

  it('under the archives while one is written is named by the archive, and with room it is pulled', async () => {
    let isFilled = false;
    const fill = (label: string): void => {
      if (label === 'publish' && !isFilled) disks.archives?.fill(64 * 1024);
      isFilled ||= label === 'publish';
    };
    await expect(pull(fill)).rejects.toMatchObject({
      code: 'PXM_DISK_FULL',
      fields: { path: expect.stringMatching(/template\/cache\/app_1\.0-.*\.tar$/) as string },
    });
    disks.archives?.free();
    expect(leftovers()).toEqual([]);
    await pull();
    expect(readdirSync(disks.archives?.path ?? '')).toHaveLength(1);
  });
});
