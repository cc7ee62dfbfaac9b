import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { hasProgram, isRoot, runProgram } from '../host/machine.ts';
import { BAD_IMAGES, type BadImage, buildBadImage, buildDemoImage } from '../image.fixture.ts';
import { type TreeEntry, tarOf, writeOciArchive } from '../oci/image-writer.ts';
import { scratchHost } from '../scratch-host.ts';
import type { Extracted } from './extract.ts';
import { extract } from './rootfs.ts';

let host: Host;
let root: string;
let output: string;
/** Where a mapped root's files belong; without root nothing is changed. */
const mapped = isRoot() ? 100_000 : (process.getuid?.() ?? 0);

beforeEach(() => {
  host = scratchHost();
  root = host.path('/var/lib/lxc/170/rootfs');
  mkdirSync(root, { recursive: true });
  output = '';
});
afterEach(() => rmSync(host.root, { recursive: true, force: true }));

function archivePath(name: string): string {
  return host.path(`/var/lib/vz/template/cache/${name}`);
}

function unpack(
  archive: string,
  mounts: { target: string; source: string }[] = [],
  idBase = 100_000,
): Promise<Extracted> {
  return extract(archive, root, {
    host,
    vmid: 100,
    idBase,
    mounts,
    log: (text) => void (output += text),
    signal: new AbortController().signal,
  });
}

async function image(layers: TreeEntry[][], compression: 'none' | 'gzip' = 'gzip'): Promise<string> {
  return (await writeOciArchive(archivePath('image.tar'), { layers, config: {}, compression })).path;
}

function names(folder = ''): string[] {
  return readdirSync(join(root, folder)).sort();
}

describe('an OCI archive', () => {
  it('becomes a tree with the image settings beside it', async () => {
    const { path } = await buildDemoImage(archivePath(''), { name: 'hello', version: '1.0' });
    const extracted = await unpack(path);
    expect(output).toBe('Detected OCI archive\n');
    expect(extracted.oci).toMatchObject({
      architecture: 'amd64',
      entrypoint: ['/usr/local/bin/serve'],
      user: 'web',
      workingDir: '/srv',
      stopSignal: 'SIGTERM',
      volumes: ['/data'],
    });
    expect(readFileSync(join(root, 'srv/www/index.html'), 'utf8')).toContain('hello 1.0');
    expect(readlinkSync(join(root, 'bin/sh'))).toBe('busybox');
    expect(statSync(join(root, 'tmp')).mode & 0o7777).toBe(0o1777);
    expect(statSync(join(root, 'usr/local/bin/serve')).mode & 0o777).toBe(0o755);
  });

  it('fills volumes that are mounted in the tree, with owner and mode of their root', async () => {
    const { path } = await buildDemoImage(archivePath(''), { name: 'hello', version: '1.0' });
    const volume = host.path('/volume');
    mkdirSync(volume);
    await unpack(path, [{ target: '/data', source: volume }]);
    expect(names('data')).toEqual([]);
    expect(readFileSync(join(volume, 'history'), 'utf8')).toBe('created\n');
    expect(statSync(volume).mode & 0o777).toBe(0o750);
    if (isRoot()) expect(statSync(volume).uid).toBe(101_000);
  });

  it.skipIf(!isRoot())(
    'maps owners into the guest, and is refused for a privileged one as upstream refuses it',
    async () => {
      const path = await image([
        [
          { path: 'a', uid: 7, gid: 8 },
          { path: 'l', type: 'symlink', to: 'a', uid: 7, gid: 8 },
        ],
      ]);
      await unpack(path);
      expect([lstatSync(join(root, 'a')).uid, lstatSync(join(root, 'l')).gid]).toEqual([100_007, 100_008]);
      await expect(unpack(path, [], 0)).rejects.toThrow('setgid(0): Invalid argument');
    },
  );

  it.each(['none', 'gzip'] as const)('applies whiteouts of upper layers (%s)', async (compression) => {
    const below: TreeEntry[] = ['keep', 'gone', 'dir/one', 'dir/two', 'opaque/old', 'tree/deep/file'].map((path) => ({
      path,
      content: path,
    }));
    const above: TreeEntry[] = [
      { path: '.wh.gone' },
      { path: 'dir/.wh.one' },
      { path: 'opaque/.wh..wh..opq' },
      { path: 'opaque/new' },
      { path: '.wh.tree' },
      { path: '.wh.absent' },
    ];
    await unpack(await image([below, above], compression));
    expect(names()).toEqual(['dir', 'keep', 'opaque']);
    expect(names('dir')).toEqual(['two']);
    expect(names('opaque')).toEqual(['new']);
  });

  it('lets a layer replace files by directories and back, and follows relative links inside the tree', async () => {
    const below: TreeEntry[] = [
      { path: 'a', content: 'file' },
      { path: 'b/x' },
      { path: 'run/', type: 'directory' },
      { path: 'var/run', type: 'symlink', to: '../run' },
    ];
    const above: TreeEntry[] = [
      { path: 'a/', type: 'directory' },
      { path: 'b', content: 'now a file' },
      { path: 'var/run/pid', content: '1' },
      { path: 'hard', type: 'link', to: 'var/run/pid' },
    ];
    await unpack(await image([below, above]));
    expect(statSync(join(root, 'a')).isDirectory()).toBe(true);
    expect(readFileSync(join(root, 'b'), 'utf8')).toBe('now a file');
    expect(readFileSync(join(root, 'run/pid'), 'utf8')).toBe('1');
    expect(statSync(join(root, 'hard')).ino).toBe(statSync(join(root, 'run/pid')).ino);
  });

  it.each([
    [
      'an absolute link',
      [
        { path: 'esc', type: 'symlink', to: '/etc' },
        { path: 'esc/evil', content: 'x' },
      ],
    ],
    [
      'a link upwards',
      [
        { path: 'esc', type: 'symlink', to: '../../..' },
        { path: 'esc/evil', content: 'x' },
      ],
    ],
  ] as [string, TreeEntry[]][])('refuses to write through %s', async (_what, entries) => {
    await expect(unpack(await image([entries]))).rejects.toThrow(
      /IO error: trying to unpack outside of destination path/,
    );
  });

  it('skips entries with .. in their names', async () => {
    await unpack(
      await image([
        [
          { path: '../evil', content: 'x' },
          { path: 'good', content: 'x' },
        ],
      ]),
    );
    expect(names()).toEqual(['good']);
    expect(readdirSync(join(root, '..'))).toEqual(['rootfs']);
  });

  it('fails when a layer replaces the directory of a mounted volume', async () => {
    const source = host.path('/volume');
    mkdirSync(source);
    const path = await image([
      [{ path: 'data/', type: 'directory' }],
      [{ path: 'data', type: 'symlink', to: 'elsewhere' }],
    ]);
    await expect(unpack(path, [{ target: '/data', source }])).rejects.toThrow(
      /Device or resource busy \(os error 16\)/,
    );
  });

  it.skipIf(!hasProgram('zstd'))('reads zstd layers', async () => {
    const tar = await tarOf([{ path: 'from-zstd', content: 'x'.repeat(300_000) }]);
    const raw = host.path('/layer.tar');
    writeFileSync(raw, tar);
    await runProgram({ file: 'zstd', args: ['-q', raw], purpose: 'test' });
    const zstd = readFileSync(`${raw}.zst`);
    const { createHash } = await import('node:crypto');
    const hex = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    const { path } = await writeOciArchive(archivePath('z.tar'), {
      layers: [[{ path: 'from-zstd', content: 'x'.repeat(300_000) }]],
      config: {},
      compression: 'none',
      mediaTypes: { layer: 'application/vnd.oci.image.layer.v1.tar+zstd' },
      tamper: (members) => void members.set(`blobs/sha256/${hex(tar)}`, zstd),
    });
    await unpack(path);
    expect(statSync(join(root, 'from-zstd')).size).toBe(300_000);
  });

  const failures: Record<BadImage, RegExp | undefined> = {
    'control-character-env': undefined,
    'unknown-user': undefined,
    'unsupported-os': undefined,
    truncated: /^command 'tar -tf \/var\/lib\/vz\/template\/cache\/bad-truncated\.tar' failed: exit code 2$/,
    'nested-index': /^Error while parsing OCI image: Unsupported CPU architecture$/,
    'docker-media-types': /^Error while parsing OCI image: Wrong media type$/,
    'wrong-blob-digest':
      /^Error while extracting OCI image: Unknown layer digest sha256:[0-9a-f]{64} found in rootfs\.diff_ids$/,
    'large-uid': isRoot()
      ? /^Error while extracting OCI image: IO error: failed to unpack `\/var\/lib\/lxc\/170\/rootfs\/opt\/big`: Invalid argument \(os error 22\)$/
      : undefined,
  };
  it.each(BAD_IMAGES)('with the fault %s is unpacked or refused as upstream does', async (kind) => {
    const { path } = await buildBadImage(archivePath(''), kind);
    const expected = failures[kind];
    if (expected === undefined) expect((await unpack(path)).detected).toBe('oci');
    else await expect(unpack(path)).rejects.toThrow(expected);
  });

  it('stops between entries when it is told to', async () => {
    const { path } = await buildDemoImage(archivePath(''), { name: 'hello', version: '1.0' });
    const stop = new AbortController();
    const running = extract(path, root, {
      host,
      vmid: 100,
      idBase: mapped,
      mounts: [],
      log: () => undefined,
      signal: stop.signal,
      onProgress: async () => stop.abort(),
    });
    await expect(running).rejects.toThrow('received interrupt');
  });
});

describe('any other archive', () => {
  const tree: TreeEntry[] = [
    { path: './', type: 'directory' },
    { path: './etc/', type: 'directory' },
    { path: './etc/hostname', content: 'x\n' },
    { path: './dev/null', type: 'character-device' },
  ];

  it.each(['.tar', '.tar.gz'])('is unpacked as a root tar (%s), without what lies in /dev', async (suffix) => {
    const tar = await tarOf(tree);
    writeFileSync(archivePath(`plain${suffix}`), suffix === '.tar' ? tar : gzipSync(tar));
    expect((await unpack(archivePath(`plain${suffix}`))).detected).toBe('tar');
    expect(names()).toEqual(['etc']);
    expect(output).toMatch(
      new RegExp(`^extracting archive '/var/lib/vz/template/cache/plain${suffix}'\nTotal bytes read: 2 `),
    );
  });

  it.skipIf(!hasProgram('xz'))('is decompressed by the machine when this platform cannot', async () => {
    writeFileSync(archivePath('plain.tar'), await tarOf(tree));
    await runProgram({ file: 'xz', args: ['-k', archivePath('plain.tar')], purpose: 'test' });
    await unpack(archivePath('plain.tar.xz'));
    expect(names()).toEqual(['etc']);
  });

  it('is what an OCI layout with ./ names is taken for', async () => {
    const members = ['oci-layout', 'index.json', 'blobs/sha256/x'].map(
      (name): TreeEntry => ({ path: `./${name}`, content: '{}' }),
    );
    writeFileSync(archivePath('dot.tar'), await tarOf(members));
    expect((await unpack(archivePath('dot.tar'))).detected).toBe('tar');
    expect(names()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  it('is refused by its name or its content', async () => {
    writeFileSync(archivePath('image.TAR'), '');
    await expect(unpack(archivePath('image.TAR'))).rejects.toThrow(
      'file does not look like a template archive: /var/lib/vz/template/cache/image.TAR',
    );
    writeFileSync(archivePath('bad name.tar'), 'x');
    await expect(unpack(archivePath('bad name.tar'))).rejects.toThrow(
      "command 'tar -tf '/var/lib/vz/template/cache/bad name.tar'' failed: exit code 2",
    );
    expect(output).toContain('tar: This does not look like a tar archive\n');
  });
});
