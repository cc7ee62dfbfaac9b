import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkArchive, writeArchive } from './archive.ts';
import { BASE_LAYER, type FixtureEntry, type FixtureImage, NODE_ARCHITECTURE, writeFixture } from './layout.fixture.ts';
import { type VerifyResult, verifyImage } from './verify.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pxmgr-verify-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function verify(image: FixtureImage): Promise<VerifyResult> {
  const fixture = await writeFixture(directory, image);
  return await verifyImage(fixture.blobs, fixture.manifestDigest, { architecture: NODE_ARCHITECTURE });
}

async function problemsOf(image: FixtureImage): Promise<string> {
  const result = await verify(image);
  return result.ok ? '' : result.problems.join('\n');
}

function withFile(name: string, body: string): readonly (readonly FixtureEntry[])[] {
  return [BASE_LAYER, [{ name, body }]];
}

describe('verifyImage accepts', () => {
  it('a good image and tells what it found', async () => {
    const result = await verify({
      layers: [BASE_LAYER, [{ name: 'data/', type: 'directory', uid: 1000, gid: 1001 }]],
      config: { User: 'web', Volumes: { '/data': {}, '/var/run/app': {} }, Env: ['A=1'], StopSignal: 'SIGINT' },
    });
    expect(result).toMatchObject({
      ok: true,
      value: {
        findings: {
          osType: 'alpine',
          uid: 1000,
          gid: 1001,
          home: '/srv',
          groups: { render: 103, video: 27 },
          // /var/run is a link: the mount point is the directory behind it.
          volumes: ['/data', '/run/app'],
          hasShell: true,
        },
      },
    });
  });

  it('a group file that a higher layer replaces, and not one that it removes', async () => {
    const replaced = await verify({ layers: withFile('etc/group', 'render:x:991:\n') });
    expect(replaced).toMatchObject({ value: { findings: { groups: { render: 991 } } } });
    const removed = await verify({ layers: withFile('etc/.wh.group', '') });
    expect(removed.ok && removed.value.findings.groups).toBeUndefined();
    const opaque = await verify({
      layers: [
        BASE_LAYER,
        [
          { name: 'etc/.wh..wh..opq', body: '' },
          { name: 'etc/group', body: 'video:x:5:\n' },
        ],
      ],
    });
    expect(opaque).toMatchObject({ value: { findings: { groups: { video: 5 }, osType: 'alpine' } } });
    const anew = await verify({ layers: [BASE_LAYER, [{ name: '.wh..wh..opq', body: '' }]] });
    expect(anew).toMatchObject({ value: { findings: { osType: 'unmanaged', hasShell: false } } });
    const nameless = await verify({ layers: [BASE_LAYER, [{ name: '.wh.', body: '' }]] });
    expect(nameless).toMatchObject({ value: { findings: { osType: 'alpine', hasShell: true } } });
  });

  it('an image without any distribution as unmanaged', async () => {
    const result = await verify({
      layers: [[{ name: 'app', body: 'x', mode: 0o755 }]],
      config: { Entrypoint: ['/app'] },
    });
    expect(result).toMatchObject({ value: { findings: { osType: 'unmanaged', hasShell: false, home: '/root' } } });
  });

  it.each([
    [
      'an unknown distribution',
      withFile('usr/lib/os-release', 'ID=wolfi\n').with(
        0,
        BASE_LAYER.filter(({ name }) => !name.endsWith('alpine-release')),
      ),
      /does not know the distribution "wolfi"/,
    ],
    ['debian without its version file', withFile('usr/lib/os-release', 'ID=debian\n'), /needs \/etc\/debian_version/],
    ['ubuntu without lsb-release', withFile('usr/lib/os-release', 'ID=ubuntu\n'), /needs \/etc\/lsb-release/],
    ['alpine without /run', [BASE_LAYER.filter(({ name }) => name !== 'run/')], /without a \/run directory/],
  ])('%s, and says why a container of it has to be unmanaged', async (_name, layers, problem) => {
    const result = await verify({ layers });
    expect(result.ok ? result.value.findings.osProblem : undefined).toMatch(problem);
  });

  it('a passwd file behind a link that leads to an unusual place', async () => {
    const result = await verify({
      layers: [
        [
          { name: 'etc/passwd', type: 'symlink', linkname: '/store/passwd' },
          { name: 'store/passwd', body: 'app:x:7:8::/app:\n' },
        ],
      ],
      config: { User: 'app' },
    });
    expect(result).toMatchObject({ value: { findings: { uid: 7, gid: 8, home: '/app' } } });
  });
});

describe('verifyImage refuses', () => {
  it.each([
    ['a line feed in an argument', { Cmd: ['/bin/sh\nlxc.hook.pre-start: /bin/x'] }, /Cmd holds control characters/],
    ['a tab in the environment', { Env: ['A=x\ty'] }, /Env holds control characters/],
    ['a volume with a line feed', { Volumes: { '/a\nb': {} } }, /Volumes holds control characters/],
    ['an Env item without "="', { Env: ['FOO'] }, /Env entry "FOO"/],
    ['an unknown signal', { StopSignal: 'BOGUS' }, /StopSignal "BOGUS" is no signal/],
    ['a relative working directory', { WorkingDir: 'srv' }, /WorkingDir "srv" is not absolute/],
    ['an unknown user', { User: 'nosuch' }, /User "nosuch" is not in/],
    ['an unknown group', { User: 'web:nosuch' }, /group "nosuch"/],
    ['a user above the id map', { User: '70000' }, /beyond the id map/],
    ['a malformed user', { User: ':44' }, /is not name, uid/],
    ['a volume with a comma', { Volumes: { '/a,b': {} } }, /cannot be a mount point/],
  ])('%s', async (_name, config, problem) => {
    expect(await problemsOf({ layers: [BASE_LAYER], config })).toMatch(problem);
  });

  it('everything wrong at once', async () => {
    const text = await problemsOf({ layers: [BASE_LAYER], config: { StopSignal: 'X', User: 'nobody2', Env: ['Q'] } });
    expect(text.split('\n')).toHaveLength(3);
  });

  it.each([['a file above the id map', [BASE_LAYER, [{ name: 'x', body: '', uid: 70_000 }]], /uid 70000/]])(
    '%s',
    async (_name, layers, problem) => {
      expect(await problemsOf({ layers })).toMatch(problem);
    },
  );

  it('another architecture, foreign media types and a missing diff id', async () => {
    expect(await problemsOf({ layers: [BASE_LAYER], architecture: 's390x' })).toMatch(/built for s390x/);
    const foreign = await problemsOf({
      layers: [BASE_LAYER],
      tweak: ({ manifest }) => {
        (manifest['layers'] as { mediaType: string }[])[0]!.mediaType =
          'application/vnd.docker.image.rootfs.diff.tar.gzip';
      },
    });
    expect(foreign).toMatch(/a layer is of type application\/vnd\.docker/);
    const short = await problemsOf({
      layers: [BASE_LAYER],
      tweak: ({ config }) => {
        config['rootfs'] = { diff_ids: [] };
      },
    });
    expect(short).toMatch(/1 layers but names 0/);
  });

  it('a layer with other bytes than its digest says, and one that is cut off', async () => {
    const fixture = await writeFixture(directory, {
      layers: [BASE_LAYER, [{ name: 'big', body: 'x'.repeat(100_000) }]],
    });
    const bad: string[] = [];
    const check = async (): Promise<string> => {
      const result = await verifyImage(fixture.blobs, fixture.manifestDigest, {
        architecture: NODE_ARCHITECTURE,
        onBadBlob: (digest) => bad.push(digest),
      });
      return result.ok ? '' : result.problems.join('\n');
    };
    const path = join(directory, 'blobs/sha256', fixture.layerDigests[0]!.slice(7));
    const bytes = await readFile(path);
    const changed = Buffer.from(bytes);
    changed[9] = changed[9] === 3 ? 255 : 3; // the "operating system" byte of gzip: still unpacks the same
    await writeFile(path, changed);
    expect(await check()).toMatch(/layer 1: its bytes have digest/);
    await writeFile(path, bytes);
    await truncate(join(directory, 'blobs/sha256', fixture.layerDigests[1]!.slice(7)), 40);
    expect(await check()).toMatch(/layer 2: its blob has 40 bytes/);
    expect(bad).toEqual([fixture.layerDigests[0], fixture.layerDigests[1]]);
  });

  it('content that is not what the configuration names', async () => {
    const text = await problemsOf({
      layers: [BASE_LAYER],
      tweak: ({ config }) => {
        config['rootfs'] = { diff_ids: [`sha256:${'0'.repeat(64)}`] };
      },
    });
    expect(text).toMatch(/its content has digest/);
  });

  it('an index in the place of the manifest', async () => {
    const text = await problemsOf({
      layers: [BASE_LAYER],
      tweak: ({ manifest }) => {
        delete manifest['layers'];
        manifest['manifests'] = [];
      },
    });
    expect(text).toMatch(/an index lies where its manifest should be/);
  });
});

describe('writeArchive', () => {
  it('writes exactly what Proxmox recognises, and leaves nothing when a blob is wrong', async () => {
    const fixture = await writeFixture(join(directory, 'in'), { layers: [BASE_LAYER] });
    const result = await verifyImage(fixture.blobs, fixture.manifestDigest, { architecture: NODE_ARCHITECTURE });
    if (!result.ok) throw new Error(result.problems.join());
    const { manifest } = result.value;
    const size = (await fixture.blobs.sizeOf(fixture.manifestDigest)) ?? 0;
    const content = {
      blobs: fixture.blobs,
      manifest: { mediaType: '', digest: fixture.manifestDigest, size },
      parts: [manifest.config, ...manifest.layers],
      operationId: `op-${'0'.repeat(26)}`,
    };
    const out = join(directory, 'out');
    await writeArchive(out, 'a.tar', content);
    expect(await readdir(out)).toEqual(['a.tar']);
    expect(await checkArchive(join(out, 'a.tar'), content)).toBeUndefined();
    await truncate(join(out, 'a.tar'), 1000);
    expect(await checkArchive(join(out, 'a.tar'), content)).toMatch(/cut off or damaged|is missing/);
    await writeFile(
      join(directory, 'in/blobs/sha256', fixture.layerDigests[0]!.slice(7)),
      Buffer.alloc(manifest.layers[0]!.size),
    );
    await expect(writeArchive(out, 'b.tar', content)).rejects.toThrow(/changed while it was copied/);
    expect(await readdir(out)).toEqual(['a.tar']);
  });
});
