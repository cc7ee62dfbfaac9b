/** The recorded lab's OCI archives, made again: configuration and media types from the recording, files by the archive's name. */
import { basename } from 'node:path';
import { type ImageSpec, type TreeEntry, writeOciArchive } from '../../../packages/sim/src/oci/image-writer.ts';
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
  'os-idlike': { [RELEASE]: 'ID=mything\nID_LIKE=debian\n' },
  'os-openeuler': { [RELEASE]: 'ID=openEuler\nVERSION_ID="24.03"\n' },
};
/** The start of an ELF file for x86-64, enough for upstream's look at the shell. */
const ELF_X86_64 = Buffer.from('7f454c4602010100000000000000000002003e0001000000', 'hex');
/** Archives that are broken in a way their configuration does not tell. */
const NOT_MADE =
  /^(?:docker-archive|truncated|truncated-late|zero|garbage|layer-missing|multi-two|nested-index|empty-index|nolayers|zstd|skopeo-oci|alpine|biguid|devnode|symlink-escape|scratch|noconfig|dotslash)$/;

/** Writes the archive that the step creates from into the folder, where it can be made again. */
export async function makeImage(step: RecordedStep, folder: string): Promise<void> {
  const file = basename(/^local:vztmpl\/(.+\.tar)$/i.exec(step.argv[3] ?? '')?.[1] ?? '');
  const name = file.replace(/\.tar$/i, '');
  const image = typeof step.note === 'object' ? (step.note as { image?: ImageNote | string }).image : undefined;
  if (file === '' || NOT_MADE.test(name) || typeof image !== 'object' || image.config === undefined) return;
  await writeOciArchive(`${folder}/${file}`, specOf(name, image));
}

function specOf(name: string, image: ImageNote): ImageSpec {
  const [layer] = image.layer_media_types ?? [];
  const mediaTypes = {
    ...(image.config_media_type === undefined ? {} : { config: image.config_media_type }),
    ...(layer === undefined ? {} : { layer }),
  };
  return {
    layers: [layerOf(name)],
    config: image.config ?? {},
    ...(image.architecture === undefined ? {} : { architecture: image.architecture }),
    compression: layer?.endsWith('gzip') === true ? 'gzip' : 'none',
    mediaTypes,
  };
}

function layerOf(name: string): TreeEntry[] {
  const files: TreeEntry[] = Object.entries(FILES[name] ?? {}).map(([path, content]) => ({ path, content }));
  const etc: TreeEntry[] = [
    { path: 'etc', type: 'directory' },
    { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n' },
    { path: 'etc/group', content: 'root:x:0:\napp:x:1000:\nweb:x:1001:\n' },
  ];
  return [
    { path: 'bin', type: 'directory' },
    ...(name === 'noshell' ? [] : [{ path: 'bin/sh', content: ELF_X86_64, mode: 0o755 }]),
    ...(name === 'user-noetc' ? [] : etc),
    ...files,
  ];
}
