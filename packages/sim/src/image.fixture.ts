/**
 * Images for the demo and for tests, made without a network: a small web server from the machine's static busybox,
 * and images that are wrong in one way each. Everything is a real OCI archive that skopeo can push to a registry.
 */
import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageSpec, nestIndex, type TreeEntry, type WrittenImage, writeOciArchive } from './oci/image-writer.ts';

export interface DemoImage {
  readonly name: string;
  readonly version: string;
  /** More text for the page, so that two images of one version may differ. */
  readonly note?: string;
}

export const DEMO_PORT = 8080;

const BUSYBOX_PLACES = ['/bin/busybox', '/usr/bin/busybox'] as const;
const APPLETS = [
  'sh',
  'httpd',
  'cat',
  'echo',
  'env',
  'grep',
  'hostname',
  'id',
  'ip',
  'kill',
  'ls',
  'mkdir',
  'mount',
  'printf',
  'ps',
  'pwd',
  'rm',
  'sleep',
  'stat',
  'touch',
  'tr',
  'true',
  'wc',
  'wget',
] as const;
const WEB_USER = 1000;

/** The server logs to stdout, ends with status 0 on TERM, and keeps a line per start in its volume. */
const SERVE = `#!/bin/sh
echo "$APP_NAME $APP_VERSION starts as $(id -u):$(id -g) on port $PORT"
echo "started $APP_VERSION" >> /data/history
httpd -f -v -p "$PORT" -h /srv/www &
server=$!
trap 'echo "$APP_NAME stops"; kill "$server"; exit 0' TERM INT QUIT
wait "$server"
`;

/** Writes \`<name>-<version>.tar\` into the directory. */
export function buildDemoImage(directory: string, image: DemoImage): Promise<WrittenImage> {
  return writeOciArchive(join(directory, `${image.name}-${image.version}.tar`), demoSpec(image));
}

/** The description behind buildDemoImage, for variants. Throws when the machine has no static busybox. */
export function demoSpec(image: DemoImage): ImageSpec {
  const page = `<!doctype html>\n<title>${image.name}</title>\n<h1>${image.name} ${image.version}</h1>\n${image.note === undefined ? '' : `<p>${image.note}</p>\n`}`;
  return {
    layers: [baseLayer(), appLayer(page)],
    config: {
      Env: [
        'PATH=/usr/local/bin:/usr/bin:/bin',
        `APP_NAME=${image.name}`,
        `APP_VERSION=${image.version}`,
        `PORT=${DEMO_PORT}`,
      ],
      Entrypoint: ['/usr/local/bin/serve'],
      User: 'web',
      WorkingDir: '/srv',
      Volumes: { '/data': {} },
      ExposedPorts: { [`${DEMO_PORT}/tcp`]: {} },
      StopSignal: 'SIGTERM',
      Labels: { 'org.opencontainers.image.title': image.name, 'org.opencontainers.image.version': image.version },
    },
  };
}

function baseLayer(): TreeEntry[] {
  const folders = [
    'bin',
    'dev',
    'etc',
    'proc',
    'root',
    'run',
    'sbin',
    'srv',
    'sys',
    'usr',
    'usr/bin',
    'usr/local',
    'usr/local/bin',
    'var',
  ];
  return [
    ...folders.map(
      (path): TreeEntry => ({ path: `${path}/`, type: 'directory', ...(path === 'root' ? { mode: 0o700 } : {}) }),
    ),
    { path: 'tmp/', type: 'directory', mode: 0o1777 },
    { path: 'var/run', type: 'symlink', to: '../run' },
    { path: 'bin/busybox', mode: 0o755, content: staticBusybox() },
    ...APPLETS.map((name): TreeEntry => ({ path: `bin/${name}`, type: 'symlink', to: 'busybox' })),
    {
      path: 'etc/os-release',
      content: 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.22.0\nPRETTY_NAME="Alpine Linux v3.22"\n',
    },
    { path: 'etc/alpine-release', content: '3.22.0\n' },
    { path: 'etc/passwd', content: `root:x:0:0:root:/root:/bin/sh\nweb:x:${WEB_USER}:${WEB_USER}:web:/srv:/bin/sh\n` },
    { path: 'etc/group', content: `root:x:0:\nvideo:x:44:web\nrender:x:104:\nweb:x:${WEB_USER}:\n` },
  ];
}

function appLayer(page: string): TreeEntry[] {
  return [
    { path: 'usr/local/bin/serve', mode: 0o755, content: SERVE },
    { path: 'srv/www/', type: 'directory' },
    { path: 'srv/www/index.html', content: page },
    { path: 'srv/www/data', type: 'symlink', to: '../../data' },
    { path: 'data/', type: 'directory', mode: 0o750, uid: WEB_USER, gid: WEB_USER },
    { path: 'data/history', uid: WEB_USER, gid: WEB_USER, content: 'created\n' },
  ];
}

let busybox: Buffer | undefined;

export function staticBusybox(): Buffer {
  busybox ??= BUSYBOX_PLACES.map(readStatic).find((bytes) => bytes !== undefined);
  if (busybox === undefined)
    throw new Error('the demo image needs a statically linked busybox (Debian package busybox-static)');
  return busybox;
}

/** A dynamically linked program names its loader; such a busybox could not run in a root file system without libraries. */
function readStatic(path: string): Buffer | undefined {
  try {
    const bytes = readFileSync(path);
    return bytes.subarray(0, 4096).includes('/ld-') ? undefined : bytes;
  } catch {
    return undefined;
  }
}

export const BAD_IMAGES = [
  'control-character-env',
  'wrong-blob-digest',
  'truncated',
  'nested-index',
  'unknown-user',
  'unsupported-os',
  'docker-media-types',
  'large-uid',
] as const;
export type BadImage = (typeof BAD_IMAGES)[number];

/** Writes \`bad-<kind>.tar\` into the directory: the demo image with one fault. */
export async function buildBadImage(directory: string, kind: BadImage): Promise<WrittenImage> {
  const good = demoSpec({ name: `bad-${kind}`, version: '1' });
  const written = await writeOciArchive(join(directory, `bad-${kind}.tar`), spoil(good, kind));
  if (kind === 'truncated') truncateSync(written.path, 100_000);
  return written;
}

function spoil(good: ImageSpec, kind: BadImage): ImageSpec {
  const extraLayer = (entry: TreeEntry): ImageSpec => ({ ...good, layers: [...good.layers, [entry]] });
  switch (kind) {
    case 'control-character-env':
      return { ...good, config: { ...good.config, Env: ['PATH=/bin', 'BELL=\u0007'] } };
    case 'unknown-user':
      return { ...good, config: { ...good.config, User: 'nosuch' } };
    case 'unsupported-os':
      return {
        ...good,
        layers: [
          ...good.layers,
          [{ path: 'etc/.wh.alpine-release' }, { path: 'etc/os-release', content: 'ID=wolfi\nVERSION_ID=1\n' }],
        ],
      };
    case 'large-uid':
      return extraLayer({ path: 'opt/big', uid: 70_000, gid: 70_000, content: 'x' });
    case 'docker-media-types':
      return {
        ...good,
        mediaTypes: {
          config: 'application/vnd.docker.container.image.v1+json',
          layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        },
      };
    case 'nested-index':
      return { ...good, tamper: nestIndex };
    case 'wrong-blob-digest':
      return { ...good, tamper: damageFirstLayer };
    case 'truncated':
      return good;
  }
}

/** Replaces the content of the first layer's blob by another valid archive under the old digest. */
function damageFirstLayer(members: Map<string, Buffer>): void {
  const [first, second] = [...members.keys()].filter((name) => name.startsWith('blobs/'));
  const other = second === undefined ? undefined : members.get(second);
  if (first !== undefined && other !== undefined) members.set(first, other);
}
