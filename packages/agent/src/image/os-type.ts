import type { ImageEntry } from './layer-scan.ts';

/**
 * Which distribution plugin Proxmox will pick for an image, and whether that plugin will accept it: the rules of
 * proxmox/pve-container src/PVE/LXC/Setup.pm and src/PVE/LXC/Setup/*.pm, applied before anything is created.
 */
export interface OsDecision {
  /** debian, alpine, ..., unmanaged. */
  readonly osType: string;
  /** Why Proxmox would refuse it or the guest could not start; undefined when all is well. */
  readonly problem: string | undefined;
}

/** Answers for a path of the image, links followed. */
export type Look = (path: string) => ImageEntry | undefined;

const PLUGINS = new Set([
  'alpine',
  'archlinux',
  'centos',
  'debian',
  'devuan',
  'fedora',
  'gentoo',
  'nixos',
  'openeuler',
  'opensuse',
  'ubuntu',
]);
const ALIASES: Readonly<Record<string, string>> = {
  'opensuse-leap': 'opensuse',
  'opensuse-tumbleweed': 'opensuse',
  'opensuse-slowroll': 'opensuse',
  openEuler: 'openeuler',
  arch: 'archlinux',
  sles: 'opensuse',
  rocky: 'centos',
  almalinux: 'centos',
};
/** In the order in which Proxmox looks when os-release does not tell. */
const FALLBACKS: readonly (readonly [path: string, osType: string])[] = [
  ['etc/debian_version', 'debian'],
  ['etc/devuan_version', 'devuan'],
  ['etc/SuSE-brand', 'opensuse'],
  ['etc/SuSE-release', 'opensuse'],
  ['etc/fedora-release', 'fedora'],
  ['etc/centos-release', 'centos'],
  ['etc/redhat-release', 'centos'],
  ['etc/arch-release', 'archlinux'],
  ['etc/alpine-release', 'alpine'],
  ['etc/gentoo-release', 'gentoo'],
  ['nix/store', 'nixos'],
  ['etc/openEuler-release', 'openeuler'],
];
const DEBIAN_NAMES = new Set([
  'stretch/sid',
  'buster/sid',
  'bullseye/sid',
  'bookworm/sid',
  'trixie/sid',
  'forky/sid',
  'duke/sid',
  'kali-rolling',
]);
const DEVUAN_NAMES = /^(?:jessie|(?:ascii|beowulf|chimaera|daedalus|excalibur)(?:\/ceres)?)$/;

/** Every path that a rule may read: hand them to the layer scan. */
export const OS_PATHS: readonly string[] = [
  'etc/os-release',
  'usr/lib/os-release',
  'etc/lsb-release',
  'run',
  ...FALLBACKS.map(([path]) => path),
];

export function decideOsType(look: Look): OsDecision {
  const release = parseOsRelease(textOf(look('etc/os-release')) ?? textOf(look('usr/lib/os-release')) ?? '');
  const id = release.get('ID') ?? '';
  const osType = PLUGINS.has(id) ? id : ((Object.hasOwn(ALIASES, id) ? ALIASES[id] : undefined) ?? fallback(look));
  if (osType === undefined) {
    const named = id === '' ? 'its os-release names no ID' : `Proxmox does not know the distribution "${id}"`;
    return { osType: 'unmanaged', problem: `${named} (unable to detect OS distribution)` };
  }
  return { osType, problem: RULES[osType]?.(look, release) };
}

function fallback(look: Look): string | undefined {
  if (/^DISTRIB_ID=Ubuntu$/im.test(textOf(look('etc/lsb-release')) ?? '')) return 'ubuntu';
  const found = FALLBACKS.find(([path, osType]) => look(path)?.type === (osType === 'nixos' ? 'directory' : 'file'));
  if (found !== undefined) return found[1];
  return look('etc/os-release') === undefined ? 'unmanaged' : undefined;
}

type Rule = (look: Look, release: ReadonlyMap<string, string>) => string | undefined;

const RULES: Readonly<Record<string, Rule>> = {
  alpine: (look) =>
    look('run')?.type === 'directory'
      ? undefined
      : 'an alpine image without a /run directory is created but cannot start',
  debian: (look) => checkDebian(firstLine(look('etc/debian_version'))),
  devuan: (look) => {
    const version = firstLine(look('etc/devuan_version'))?.toLowerCase();
    if (version === undefined) return 'a devuan image needs /etc/devuan_version';
    return DEVUAN_NAMES.test(version) ? undefined : `unsupported Devuan version "${version}"`;
  },
  ubuntu: (look) => checkUbuntu(textOf(look('etc/lsb-release'))),
  centos: (look) => checkRedHat(firstLine(look('etc/redhat-release'))),
  openeuler: (look) => checkRedHat(firstLine(look('etc/redhat-release'))),
  fedora: (_look, release) =>
    Number(release.get('VERSION_ID') ?? 0) >= 22 ? undefined : 'the Fedora release is missing or older than 22',
  opensuse: (_look, release) => checkSuse(release),
  gentoo: (look) =>
    /^gentoo base system release /i.test(firstLine(look('etc/gentoo-release')) ?? '')
      ? undefined
      : 'a gentoo image needs a readable /etc/gentoo-release',
};

function checkDebian(version: string | undefined): string | undefined {
  if (version === undefined) return 'a debian image needs /etc/debian_version (unable to read version info)';
  if (DEBIAN_NAMES.has(version)) return undefined;
  const major = /^(\d+)/.exec(version)?.[1];
  if (major === undefined) return `Proxmox cannot parse the Debian version "${version}"`;
  return Number(major) >= 4 ? undefined : `Debian version ${version} is too old`;
}

function checkUbuntu(lsb: string | undefined): string | undefined {
  if (lsb === undefined) return 'an ubuntu image needs /etc/lsb-release';
  if (!/^DISTRIB_ID=Ubuntu$/im.test(lsb)) return '/etc/lsb-release does not say DISTRIB_ID=Ubuntu';
  const release = /^DISTRIB_RELEASE=(\d+)\.(\d+)$/im.exec(lsb);
  if (release === null) return '/etc/lsb-release has no DISTRIB_RELEASE';
  const known = ['12.04', '14.04', '16.04'].includes(`${release[1] ?? ''}.${release[2] ?? ''}`);
  return known || Number(release[1]) >= 17 ? undefined : `unsupported Ubuntu version ${release[1] ?? ''}`;
}

function checkRedHat(release: string | undefined): string | undefined {
  if (release === undefined) return 'an image of the Red Hat family needs /etc/redhat-release';
  const major = Number(/release\s+(\d+)/.exec(release)?.[1] ?? Number.NaN);
  return major >= 5 && major < 11 ? undefined : `unsupported release "${release}"`;
}

function checkSuse(release: ReadonlyMap<string, string>): string | undefined {
  const version = release.get('VERSION_ID') ?? '';
  const leap = /^(\d+)\.(\d+)$/.exec(version);
  const major = Number(leap?.[1] ?? 0);
  if (leap !== null && (major >= 42 || major === 15 || major === 16 || major === 13 || major === 12)) return undefined;
  return /^20(?:1[7-9]|[2-9]\d)\d{4}$/.test(version) ? undefined : `unsupported SUSE release "${version}"`;
}

/** os-release(5): shell-like assignments. */
function parseOsRelease(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Z_][A-Z0-9_]*)=(?:"([^"]*)"|'([^']*)'|(.*?))\s*$/.exec(line);
    if (match !== null) found.set(match[1] ?? '', match[2] ?? match[3] ?? match[4] ?? '');
  }
  return found;
}

function textOf(entry: ImageEntry | undefined): string | undefined {
  return entry?.type === 'file' ? (entry.body?.toString('utf8') ?? '') : undefined;
}

function firstLine(entry: ImageEntry | undefined): string | undefined {
  const line = textOf(entry)?.split('\n', 1)[0]?.trim();
  return line === '' ? undefined : line;
}
