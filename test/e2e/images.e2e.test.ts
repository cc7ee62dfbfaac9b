/** Images that cannot become containers, and registries that do not give them: refused before pct runs, with the reason. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BadImage, buildBadImage, demoSpec } from '@pxmgr/sim/image.fixture';
import { writeOciArchive } from '@pxmgr/sim/oci/image-writer';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { writeAuthFile } from '../../deploy/stand/registry.ts';
import { errorCode, TEST_LIMIT_MS, TestFleet } from './fleet.ts';
import { agentScratch, commandsOf, differences, hostTree, readText, treeOf } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const PASSWORD = 'right-password-of-the-registry';

let fleet: TestFleet;
let node: NodeProcess;
let before: { tree: Map<string, string>; log: number };

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve1'], runtime: 'played', registryPassword: PASSWORD });
  node = fleet.node('pve1');
  // What the first guest of a host makes once and for all.
  await fleet.cli.text(['container', 'create', await fleet.image('good'), '--name', 'good']);
  expect(commandsOf(node).some(({ argv }) => argv[0] === 'pct' && argv[1] === 'create')).toBe(true);
});
afterAll(async () => {
  await fleet.stop();
});
beforeEach(() => {
  before = { tree: archivesToo(), log: readText(node.commandLog).length };
});
/** pct was not called, and neither host, agent nor ledger hold anything of it. */
afterEach(async () => {
  const tools = commandsOf(node, before.log).filter(({ argv }) => argv[0] === 'pct');
  expect(tools).toEqual([]);
  expect(differences(before.tree, archivesToo())).toEqual([]);
  expect(agentScratch(node)).toEqual([]);
  expect(await fleet.activeReservations()).toEqual([]);
  expect(await fleet.containers()).toHaveLength(1);
});

function archivesToo(): Map<string, string> {
  const cache = treeOf(node.host.path('/var/lib/vz/template/cache'), []);
  return new Map([...hostTree(node), ...cache]);
}

async function refusal(reference: string): Promise<{ code: string; exit: number | null; text: string }> {
  const result = await fleet.cli.run(['run', reference, '--name', 'bad']);
  return { code: errorCode(result), exit: result.exitCode, text: result.stderr };
}

describe('an image that cannot become a container', () => {
  it.each<[BadImage, RegExp]>([
    ['control-character-env', /Env holds control characters/],
    ['unknown-user', /nosuch/],
    ['large-uid', /uid 70000/],
  ])('%s', async (kind, reason) => {
    const { path } = await buildBadImage(fleet.dir.path('images'), kind);
    const { code, exit, text } = await refusal(await fleet.push(path, `bad/${kind}:1`));
    expect({ code, exit }).toEqual({ code: 'PXM_IMAGE_REJECTED', exit: 2 });
    expect(text).toMatch(reason);
  });

  it('of an unknown distribution is refused at create, and stays fetched for --os-type unmanaged', async () => {
    const bad = await buildBadImage(fleet.dir.path('images'), 'unsupported-os');
    const { code, exit, text } = await refusal(await fleet.push(bad.path, 'bad/unsupported-os:1'));
    expect({ code, exit }).toEqual({ code: 'PXM_IMAGE_REJECTED', exit: 2 });
    expect(text).toMatch(/wolfi/);
    const archive = /^\/unsupported-os_1-amd64-[0-9a-f]{12}\.tar$/;
    for (const path of archivesToo().keys()) if (archive.test(path)) before.tree.set(path, 'file');
  });

  it.each([
    ['whose blob is another one', 'wrong', (blob: Buffer) => Buffer.alloc(blob.length, 7)],
    ['whose blob is cut', 'cut', (blob: Buffer) => blob.subarray(0, blob.length >> 1)],
  ])('%s in the registry', async (_what, name, spoil) => {
    const spec = demoSpec({ name, version: '1' });
    const layers = [...spec.layers, [{ path: 'opt/own', content: `layer of ${name}` }]];
    const archive = await writeOciArchive(fleet.dir.path('images', `${name}.tar`), { ...spec, layers });
    const reference = await fleet.push(archive.path, `bad/${name}:1`);
    spoilBlob(await layerOf(reference), spoil);
    const { code, exit, text } = await refusal(reference);
    expect({ code, exit }).toEqual({ code: 'PXM_IMAGE_REJECTED', exit: 2 });
    expect(text).toMatch(/digest|damaged|blob|size/i);
  });

  it('whose index names an index', async () => {
    const good = await fleet.image('inner');
    const inner = await manifestOf(good);
    const index = indexOf([{ ...inner, platform: { os: 'linux', architecture: 'amd64' } }]);
    const nested = await putManifest('demo/inner', 'nested-inner', index);
    const outer = indexOf([{ ...nested, platform: { os: 'linux', architecture: 'amd64' } }]);
    await putManifest('demo/inner', 'nested', outer);
    const { code, exit, text } = await refusal(`${fleet.registry.address}/demo/inner:nested`);
    expect({ code, exit }).toEqual({ code: 'PXM_IMAGE_REJECTED', exit: 2 });
    expect(text).toMatch(/index/);
  });
});

describe('an image of Docker media types in an OCI manifest', () => {
  it('is refused, whatever its blobs hold', async () => {
    const manifest = (await (await ask(pathOf(await fleet.image('docker')))).json()) as OciManifest;
    const body = JSON.stringify({
      ...manifest,
      mediaType: MANIFEST,
      config: { ...manifest.config, mediaType: 'application/vnd.docker.container.image.v1+json' },
      layers: manifest.layers.map((layer) => ({
        ...layer,
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      })),
    });
    await putManifest('demo/docker', 'mixed', body);
    const { code, exit, text } = await refusal(`${fleet.registry.address}/demo/docker:mixed`);
    expect({ code, exit }, text).toEqual({ code: 'PXM_IMAGE_REJECTED', exit: 2 });
    expect(text).toMatch(/media ?type|docker/i);
  });
});

describe('a registry that does not give the image', () => {
  it('has no such tag', async () => {
    const { code, exit } = await refusal(`${fleet.registry.address}/demo/good:9.9`);
    expect({ code, exit }).toEqual({ code: 'PXM_IMAGE_NOT_FOUND', exit: 3 });
  });

  it('refuses a wrong password', async () => {
    const { address, authFile } = fleet.registry;
    const right = readText(authFile);
    writeAuthFile(authFile, { address, user: 'tester', password: 'wrong-password' });
    try {
      const { code, exit, text } = await refusal(`${address}/demo/good:8.8`);
      expect({ code, exit }).toEqual({ code: 'PXM_IMAGE_PULL_DENIED', exit: 5 });
      expect(text).not.toContain('wrong-password');
    } finally {
      writeFileSync(authFile, right, { mode: 0o600 });
    }
  });

  it('is not there', async () => {
    const { code, exit } = await refusal('127.0.0.1:9/demo/good:1.0');
    expect({ code, exit }).toEqual({ code: 'PXM_REGISTRY_UNREACHABLE', exit: 6 });
  });

  // The last one: the registry stays down.
  it('went down', async () => {
    await fleet.registry.stop();
    const { code, exit, text } = await refusal(`${fleet.registry.address}/demo/good:7.7`);
    expect({ code, exit }).toEqual({ code: 'PXM_REGISTRY_UNREACHABLE', exit: 6 });
    expect(text).toContain(fleet.registry.address);
  });
});

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface OciManifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

function indexOf(manifests: readonly object[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`tester:${PASSWORD}`).toString('base64')}`;
  const headers = { authorization, accept: `${MANIFEST}, ${INDEX}`, ...(init.headers as Record<string, string>) };
  const answer = await fetch(`http://${fleet.registry.address}/v2/${path}`, { ...init, headers });
  if (!answer.ok) throw new Error(`registry: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function putManifest(name: string, tag: string, body: string): Promise<Descriptor> {
  const { mediaType } = JSON.parse(body) as { mediaType: string };
  const headers = { 'content-type': mediaType };
  const answer = await ask(`${name}/manifests/${tag}`, { method: 'PUT', body, headers });
  return { mediaType, digest: answer.headers.get('docker-content-digest') ?? '', size: body.length };
}

/** host/name:tag as the registry's API has it. */
function pathOf(reference: string): string {
  const [, name = '', tag = ''] = /^[^/]+\/(.+):([^:]+)$/.exec(reference) ?? [];
  return `${name}/manifests/${tag}`;
}

async function manifestOf(reference: string): Promise<Descriptor> {
  const answer = await ask(pathOf(reference));
  const body = await answer.text();
  return { mediaType: MANIFEST, digest: answer.headers.get('docker-content-digest') ?? '', size: body.length };
}

/** Digest of the last layer. */
async function layerOf(reference: string): Promise<string> {
  const manifest = (await (await ask(pathOf(reference))).json()) as OciManifest;
  return manifest.layers.at(-1)?.digest ?? '';
}

function spoilBlob(digest: string, spoil: (blob: Buffer) => Uint8Array): void {
  const hex = digest.replace('sha256:', '');
  const path = join(fleet.registry.dataDir, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
  writeFileSync(path, spoil(readFileSync(path)));
}
