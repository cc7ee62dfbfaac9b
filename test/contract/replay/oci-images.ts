/** The recorded lab's OCI archives, made again: configuration and media types from the recording, files by the archive's name. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  type ImageSpec,
  nestIndex,
  type TreeEntry,
  tarOf,
  writeOciArchive,
  zstdStored,
} from '../../../packages/sim/src/oci/image-writer.ts';
import type { RecordedStep } from './recorded-step.ts';

interface ImageNote {
  readonly architecture?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly config_media_type?: string;
  readonly layer_media_types?: readonly string[];
}

const RELEASE = 'etc/os-release';
/** What the archives of that name had beside a shell, passwd and group. */
const FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  init: { [RELEASE]: 'ID=alpine\nVERSION_ID=3.20.0\n', 'etc/alpine-release': '3.20.0\n' },
  'init-args': { [RELEASE]: 'ID=alpine\nVERSION_ID=3.20.0\n', 'etc/alpine-release': '3.20.0\n' },
  'os-unknown': { [RELEASE]: 'ID=wolfi\n' },
  'os-debian-nover': { [RELEASE]: 'ID=debian\nVERSION_ID="12"\n' },
  'os-debian12': { [RELEASE]: 'ID=debian\nVERSION_ID="12"\n', 'etc/debian_version': '12.5\n' },
  'os-ubuntu-nolsb': { [RELEASE]: 'ID=ubuntu\nVERSION_ID="24.04"\n' },
  'os-fedora': { [RELEASE]: 'ID=fedora\nVERSION_ID=41\n', 'etc/fedora-release': 'Fedora release 41 (Forty One)\n' },
  'os-rocky': {
    [RELEASE]: 'ID="rocky"\nVERSION_ID="9.4"\n',
    'etc/redhat-release': 'Rocky Linux release 9.4 (Blue Onyx)\n',
  },
  'os-arch': { [RELEASE]: 'ID=arch\n' },
  'os-nixos': { [RELEASE]: 'ID=nixos\n' },
  'os-amzn': { [RELEASE]: 'ID="amzn"\nVERSION_ID="2023"\n' },
  'os-idlike': { [RELEASE]: 'ID=mydistro\nID_LIKE=debian\n', 'etc/debian_version': '12.5\n' },
  alpine: { [RELEASE]: 'ID=alpine\nVERSION_ID=3.20.0\n', 'etc/alpine-release': '3.20.0\n' },
  'os-opensuse': { [RELEASE]: 'ID="opensuse-leap"\nVERSION_ID="15.6"\n' },
  'os-ubuntu2404': {
    [RELEASE]: 'ID=ubuntu\nVERSION_ID="24.04"\n',
    'etc/lsb-release': 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\nDISTRIB_CODENAME=noble\n',
  },
  'os-usrlib': {
    'usr/lib/os-release': 'ID=alpine\nVERSION_ID=3.20.0\n',
    'etc/alpine-release': '3.20.0\n',
  },
  'os-empty': { [RELEASE]: '' },
  'os-debian-bad': { [RELEASE]: 'ID=debian\nVERSION_ID="12"\n', 'etc/debian_version': 'bogus\n' },
  'os-openeuler': { [RELEASE]: 'ID=openEuler\nVERSION_ID="24.03"\n' },
};
/** The start of an ELF file for x86-64, enough for upstream's look at the shell. */
const ELF_X86_64 = Buffer.from('7f454c4602010100000000000000000002003e0001000000', 'hex');
/** Layers that the lab's own unpacker refused; what upstream's says is not known. */
const NOT_MADE = /^(?:layer-missing|biguid|devnode|symlink-escape)$/;

export type ImageNotes = ReadonlyMap<string, ImageNote>;

/** What the recording tells of each archive, by file name: not every step that uses one repeats it. */
export function imageNotesOf(steps: readonly RecordedStep[]): ImageNotes {
  const found = new Map<string, ImageNote>();
  for (const step of steps) {
    const image = imageOf(step);
    if (image !== undefined) found.set(fileOf(step), image);
  }
  return found;
}

function fileOf(step: RecordedStep): string {
  return basename(/^local:vztmpl\/(.+)$/i.exec(step.argv[3] ?? '')?.[1] ?? '');
}

function imageOf(step: RecordedStep): ImageNote | undefined {
  const image = typeof step.note === 'object' ? (step.note as { image?: ImageNote | string } | null)?.image : undefined;
  return typeof image === 'object' ? image : undefined;
}

/** The one image of the ZFS lab. */
export async function makeZfsLabImage(folder: string): Promise<void> {
  const config = { Env: ['FOO=bar'], WorkingDir: '/root', StopSignal: 'SIGTERM' };
  await writeOciArchive(`${folder}/bb_1.0.tar`, specOf('bb', { config }));
}

/** Writes the archive that the step creates from into the folder, where it can be made again. */
export async function makeImage(step: RecordedStep, notes: ImageNotes, folder: string): Promise<void> {
  const file = fileOf(step);
  const name = file.replace(/\.tar$/i, '');
  if (file === '' || NOT_MADE.test(name)) return;
  const path = `${folder}/${file}`;
  const odd = ODD[name] ?? PLAIN[file];
  if (odd !== undefined) {
    await odd(path);
    return;
  }
  const image = imageOf(step) ?? notes.get(file);
  if (image?.config !== undefined) await writeOciArchive(path, specOf(name, image));
}

const PLAIN_IMAGE: ImageNote = { config: { Entrypoint: ['/bin/sh', '-c'], Cmd: ['sleep 1000'] } };

type Maker = (path: string) => unknown;

async function rewritten(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await writeOciArchive(path, specOf('plain', PLAIN_IMAGE));
  writeFileSync(path, change(readFileSync(path)));
}

function withPrefix(path: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-prefix-'));
  try {
    execFileSync('tar', ['-C', folder, '-xf', path]);
    execFileSync('tar', ['-C', folder, '-cf', path, './index.json', './oci-layout', './blobs']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Archives whose form is the point, by name. */
const ODD: Readonly<Record<string, Maker>> = {
  truncated: (path) => rewritten(path, (bytes) => bytes.subarray(0, 1800)),
  'truncated-late': (path) => rewritten(path, (bytes) => bytes.subarray(0, bytes.length - 1500)),
  zero: (path) => writeFileSync(path, 'x'),
  'bad-name space': (path) => writeFileSync(path, 'x'),
  garbage: (path) => writeFileSync(path, Buffer.alloc(20_480, 'garbage ')),
  'nested-index': async (path) => writeOciArchive(path, { ...specOf('plain', PLAIN_IMAGE), tamper: nestIndex }),
  'empty-index': (path) =>
    writeOciArchive(path, {
      ...specOf('plain', PLAIN_IMAGE),
      tamper: (members) => void members.set('index.json', Buffer.from('{"schemaVersion":2,"manifests":[]}')),
    }),
  dotslash: async (path) => {
    await writeOciArchive(path, specOf('plain', PLAIN_IMAGE));
    withPrefix(path);
  },
  'upper-ext': async (path) => writeOciArchive(path, specOf('plain', PLAIN_IMAGE)),
  'docker-archive': async (path) =>
    writeFileSync(
      path,
      await tarOf([
        { path: 'manifest.json', content: '[{"Config":"c.json","RepoTags":null,"Layers":["layer.tar"]}]' },
        { path: 'c.json', content: '{}' },
        { path: 'layer.tar', content: 'x' },
      ]),
    ),
  noconfig: async (path) => writeOciArchive(path, specOf('noconfig', { config: {} })),
  slow: async (path) => writeFileSync(path, await tarOf([{ path: 'etc', type: 'directory' }])),
  big40: async (path) => writeFileSync(path, await tarOf([{ path: './b', content: 'x' }])),
};

/** Plain templates of the create steps. */
const PLAIN: Readonly<Record<string, Maker>> = {
  'junk.tar.gz': (path) => writeFileSync(path, 'this is not an archive\n'),
  'empty.tar.gz': (path) => writeFileSync(path, ''),
  'noshell.tar.gz': async (path) =>
    writeFileSync(
      path,
      gzipSync(
        await tarOf([
          { path: 'etc', type: 'directory' },
          { path: 'etc/passwd', content: 'root:x:0:0::/:\n' },
        ]),
      ),
    ),
  'wolfi.tar.gz': async (path) => writeFileSync(path, gzipSync(await tarOf(WOLFI))),
  'wz.tar.zst': async (path) => writeFileSync(path, zstdStored(await tarOf(WOLFI))),
};

const WOLFI: readonly TreeEntry[] = [
  { path: 'etc', type: 'directory' },
  { path: 'etc/os-release', content: 'ID=wolfi\n' },
];

function specOf(name: string, image: ImageNote): ImageSpec {
  const [layer] = image.layer_media_types ?? [];
  const mediaTypes = {
    ...(image.config_media_type === undefined ? {} : { config: image.config_media_type }),
    ...(layer === undefined ? {} : { layer }),
  };
  const isEmpty = image.layer_media_types?.length === 0;
  return {
    layers: isEmpty ? [] : [layerOf(name)],
    config: image.config ?? {},
    ...(image.architecture === undefined ? {} : { architecture: image.architecture }),
    compression: layer?.endsWith('gzip') === true ? 'gzip' : layer?.endsWith('zstd') === true ? 'zstd' : 'none',
    mediaTypes,
  };
}

function layerOf(name: string): TreeEntry[] {
  const files: TreeEntry[] = Object.entries(FILES[name] ?? {}).map(([path, content]) => ({ path, content }));
  const etc: TreeEntry[] = [
    { path: 'etc', type: 'directory' },
    { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n' },
    { path: 'etc/group', content: 'root:x:0:\napp:x:1001:\nvideo:x:44:app\nrender:x:104:app\n' },
  ];
  return [
    { path: 'bin', type: 'directory' },
    ...(/^(?:noshell|scratch|os-nixos)$/.test(name) ? [] : [{ path: 'bin/sh', content: ELF_X86_64, mode: 0o755 }]),
    ...(/^(?:user-noetc|scratch)$/.test(name) ? [] : etc),
    ...files,
  ];
}
