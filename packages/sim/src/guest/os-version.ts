/** What each distribution's set-up says of a root file system whose version it does not know (pve-container src/PVE/LXC/Setup/*.pm new). */
import { ToolError } from '../call/tool.ts';

export interface OsFiles {
  /** A file of the guest; undefined: it is not there. */
  readonly read: (path: string) => string | undefined;
  /** Where upstream sees the root. */
  readonly mountedAt: string;
  /** Variables of its os-release. */
  readonly release: ReadonlyMap<string, string>;
  /** A warning of the task. */
  readonly warn: (text: string) => void;
}

/** One line a variable; without quotes a value ends at the first sign that is no letter or digit (src/PVE/LXC/Setup.pm). */
export function parseRelease(text: string): Map<string, string> {
  const rows = [...text.matchAll(/^[ \t]*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/gm)].map(([, name = '', content = '']) => {
    const [, single, double, bare] = /^(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([A-Za-z0-9]*))/.exec(content) ?? [];
    return [name, single ?? double?.replace(/\\(["'`nt$\\])/g, '$1') ?? bare ?? ''] as const;
  });
  return new Map(rows);
}

/** undefined: no such file, or an empty one. */
function firstLine({ read }: OsFiles, path: string): string | undefined {
  const text = read(path);
  return text === undefined || text === '' ? undefined : text.replace(/\n[^]*$/, '');
}

function requireLine(files: OsFiles, path: string): string {
  const line = firstLine(files, path);
  if (line === undefined) throw new ToolError('unable to read version info\n');
  return line;
}

const DEBIAN_NAMES: Readonly<Record<string, string>> = {
  'stretch/sid': '9.1',
  'buster/sid': '10',
  'bullseye/sid': '11',
  'bookworm/sid': '12',
  'trixie/sid': '13',
  'forky/sid': '14',
  'duke/sid': '15',
  'kali-rolling': '12',
};
const DEBIAN_OLDEST = 4;
const DEBIAN_NEWEST = 14;

function debian(files: OsFiles): void {
  const line = requireLine(files, '/etc/debian_version');
  const named = DEBIAN_NAMES[line] ?? line;
  const version = Math.floor(Number(/^\d+(?:\.\d+)?/.exec(named)?.[0]));
  if (Number.isNaN(version)) throw new ToolError(`unable to parse version info '${named}'\n`);
  if (version < DEBIAN_OLDEST) throw new ToolError(`Container Debian version '${version}' is too old\n`);
  if (version > DEBIAN_NEWEST)
    files.warn(
      `The container's Debian version '${version}' is newer than the tested version '${DEBIAN_NEWEST}'. While everything may work fine, full compatibility cannot be guaranteed. Please check for PVE system updates.`,
    );
}

const DEVUAN = /^(?:jessie|(?:ascii|beowulf|chimaera|daedalus|excalibur)(?:\/ceres)?)$/;

function devuan(files: OsFiles): void {
  const version = requireLine(files, '/etc/devuan_version').toLowerCase();
  if (!DEVUAN.test(version)) throw new ToolError(`unsupported Devuan version '${version}'\n`);
}

const UBUNTU_OLD = /^(?:1[45]\.04|12\.04|15\.10|16\.(?:04|10))$/;
const UBUNTU_KNOWN = /^(?:1[7-9]|2[0-6])\.(?:04|10)$/;

function ubuntu(files: OsFiles): void {
  const text = files.read('/etc/lsb-release');
  if (text === undefined)
    throw new ToolError(`can't open '${files.mountedAt}/etc/lsb-release' - No such file or directory\n`);
  if (!/^DISTRIB_ID=Ubuntu$/im.test(text)) throw new ToolError('got unknown DISTRIB_ID\n');
  const version = /^DISTRIB_RELEASE=(\d+\.\d+)$/im.exec(text)?.[1];
  if (version === undefined) throw new ToolError('unable to read version info\n');
  if (UBUNTU_KNOWN.test(version) || UBUNTU_OLD.test(version)) return;
  if (Number.parseInt(version, 10) < 17) throw new ToolError(`unsupported ancient Ubuntu version '${version}'\n`);
  files.warn(
    `The container's Ubuntu version '${version}' is not in the known version list. As it's newer than the minimum supported version it's likely to work OK, but full compatibility cannot be guaranteed. Please check for PVE system updates.`,
  );
}

function centos(files: OsFiles): void {
  const release = requireLine(files, '/etc/redhat-release');
  const version = /release\s+(\d+(?:\.\d+)?)/.exec(release)?.[1];
  if (version === undefined) throw new ToolError(`unable to parse centos version '${release}'\n`);
  if (Number(version) < 5 || Number(version) >= 11) throw new ToolError(`unsupported centos version '${version}'\n`);
}

/** From that release on. */
function since(name: string, oldest: number): (files: OsFiles) => void {
  return ({ release }) => {
    const version = release.get('VERSION_ID');
    if (version === undefined || Number.parseFloat(version) < oldest)
      throw new ToolError(`unsupported ${name} release '${version ?? ''}'\n`);
  };
}

/** Leap and SLES by their numbers, Tumbleweed by its date. */
function suse({ release }: OsFiles): void {
  const version = release.get('VERSION_ID') ?? '';
  if (/^\d{8}$/.test(version)) {
    if (!isRecentDay(version)) throw new ToolError(`unsupported suse tumbleweed release '${version}'\n`);
  } else if (!/^\d+\.\d+$/.test(version))
    throw new ToolError('unrecognized suse release at /usr/share/perl5/PVE/LXC/Setup/SUSE.pm line 37.\n');
  else if (!isKnownSuse(version, release.get('ID') === 'sles'))
    throw new ToolError(`unsupported suse release '${version}'\n`);
}

function isRecentDay(version: string): boolean {
  return Number(version.slice(0, 4)) >= 2017 && Number(version.slice(4, 6)) <= 12 && Number(version.slice(6)) <= 31;
}

function isKnownSuse(version: string, isSles: boolean): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major >= 42 || (major === 13 && minor <= 2) || (isSles && major === 12) || major === 15 || major === 16;
}

function gentoo(files: OsFiles): void {
  const version = requireLine(files, '/etc/gentoo-release');
  if (!/^gentoo base system release /i.test(version)) throw new ToolError(`unrecognized gentoo version: ${version}\n`);
}

const CHECKS: Readonly<Record<string, (files: OsFiles) => void>> = {
  debian,
  devuan,
  ubuntu,
  centos,
  gentoo,
  opensuse: suse,
  fedora: since('Fedora', 22),
  openeuler: since('openEuler', 24),
};

export function checkVersion(ostype: string, files: OsFiles): void {
  CHECKS[ostype]?.(files);
}
