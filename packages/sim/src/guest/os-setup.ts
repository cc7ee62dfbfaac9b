/**
 * What Proxmox VE looks for in a fresh root file system: the distribution and the architecture
 * (pve-container src/PVE/LXC/Setup.pm, Setup/Base.pm). Only reading: the files that upstream writes for known
 * distributions (hosts, resolv.conf, network set-up) are not written here.
 */
import { closeSync, existsSync, lstatSync, openSync, readFileSync, readlinkSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ToolError } from '../call/tool.ts';
import { checkVersion, parseRelease } from './os-version.ts';

const KNOWN = new Set([
  'alpine',
  'archlinux',
  'centos',
  'debian',
  'devuan',
  'fedora',
  'gentoo',
  'openeuler',
  'opensuse',
  'ubuntu',
  'nixos',
  'unmanaged',
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
const BY_FILE: readonly (readonly [file: string, type: string])[] = [
  ['debian_version', 'debian'],
  ['devuan_version', 'devuan'],
  ['SuSE-brand', 'opensuse'],
  ['SuSE-release', 'opensuse'],
  ['fedora-release', 'fedora'],
  ['centos-release', 'centos'],
  ['redhat-release', 'centos'],
  ['arch-release', 'archlinux'],
  ['alpine-release', 'alpine'],
  ['gentoo-release', 'gentoo'],
];

/** Reads a file of the guest without leaving its root through links. */
function guestText(root: string, path: string, depth = 0): string | undefined {
  const real = guestPath(root, path, depth);
  return real === undefined || !statSync(real).isFile() ? undefined : readFileSync(real, 'utf8');
}

/** Every component is resolved inside the root; undefined when it does not exist. */
export function guestPath(root: string, path: string, depth = 0): string | undefined {
  let at = root;
  const parts = path.split('/').filter((part) => part !== '');
  for (const [index, part] of parts.entries()) {
    const next = join(at, part);
    const stat = lstatSync(next, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (stat.isSymbolicLink()) {
      if (depth > 20) return undefined;
      const target = readlinkSync(next);
      const base = target.startsWith('/') ? target : join('/', parts.slice(0, index).join('/'), target);
      return guestPath(root, join(base, parts.slice(index + 1).join('/')), depth + 1);
    }
    at = next;
  }
  return at;
}

export interface OsChoice {
  readonly ostype: string;
  readonly arch: string;
}

/** Texts go to `log` as upstream's task prints them; an unknown distribution throws. */
export function detectOs(
  root: string,
  given: { ostype?: string; arch?: string; mountedAt: string },
  { log, warn }: { log: (text: string) => void; warn: (text: string) => void },
): OsChoice {
  const text = guestText(root, '/etc/os-release') ?? guestText(root, '/usr/lib/os-release') ?? '';
  const release = parseRelease(text);
  const ostype = given.ostype === 'unmanaged' ? 'unmanaged' : detectType(root, release, log);
  if (given.ostype !== undefined && given.ostype !== ostype) {
    if (!existsSync(join(root, 'etc'))) log('WARNING: /etc not present in CT, is the rootfs mounted?\n');
    log(`got unexpected ostype (${ostype} != ${given.ostype})\n`);
  }
  const read = (path: string): string | undefined => guestText(root, path);
  checkVersion(ostype, { read, release, mountedAt: given.mountedAt, warn });
  return { ostype, arch: given.arch ?? detectArch(root, ostype, log) };
}

function detectType(root: string, release: ReadonlyMap<string, string>, log: (text: string) => void): string {
  const id = release.get('ID') ?? '';
  if (!/^0?$/.test(id)) {
    const type = KNOWN.has(id) ? id : ALIASES[id];
    if (type !== undefined) return type;
    log(`unknown ID '${id}' in /etc/os-release file, trying fallback detection\n`);
  }
  if (/^DISTRIB_ID=Ubuntu$/im.test(guestText(root, '/etc/lsb-release') ?? '')) return 'ubuntu';
  const byFile = BY_FILE.find(([file]) => guestPath(root, `/etc/${file}`) !== undefined)?.[1];
  if (byFile !== undefined) return byFile;
  if (guestPath(root, '/nix/store') !== undefined) return 'nixos';
  if (guestText(root, '/etc/os-release') !== undefined) throw new ToolError('unable to detect OS distribution\n');
  log("/etc/os-release file not found and autodetection failed, falling back to 'unmanaged'\n");
  return 'unmanaged';
}

/** The guest's own set-up as far as it can fail (pve-container src/PVE/LXC/Setup/CentOS.pm get_release). */
export function setUpOs(root: string, ostype: string, log: (text: string) => void): void {
  if (ostype !== 'openeuler' || guestPath(root, '/etc/redhat-release') !== undefined) return;
  log("can't open '/etc/redhat-release' - No such file or directory\n");
  throw new ToolError('error in setup task PVE::LXC::Setup::post_create_hook\n');
}

const FALLBACK = 'Falling back to amd64.\nUse `pct set VMID --arch ARCH` to change.\n';
/** ELF machine numbers with the word size that goes with them. */
const MACHINES: Readonly<Record<string, string>> = {
  '62:2': 'amd64',
  '3:1': 'i386',
  '183:2': 'arm64',
  '40:1': 'armhf',
  '243:1': 'riscv32',
  '243:2': 'riscv64',
};

function detectArch(root: string, ostype: string, log: (text: string) => void): string {
  if (ostype === 'unmanaged') {
    log(FALLBACK);
    return 'amd64';
  }
  if (ostype === 'nixos') {
    // Its shell is looked for in the system profile, which a fresh tree does not have.
    log(`could not find a shell\nArchitecture detection failed: error in setup task (eval)\n${FALLBACK}`);
    return 'amd64';
  }
  const shell = guestPath(root, '/bin/sh');
  const arch = shell === undefined ? undefined : elfArch(shell);
  if (arch === undefined) {
    const reason =
      shell === undefined
        ? "open '/bin/sh' failed: No such file or directory"
        : "'/bin/sh' does not resolve to an ELF!";
    log(`Architecture detection failed: ${reason}\n${FALLBACK}`);
    return 'amd64';
  }
  log(`Detected container architecture: ${arch}\n`);
  return arch;
}

function elfArch(file: string): string | undefined {
  const head = Buffer.alloc(20);
  const fd = openSync(file, 'r');
  try {
    readSync(fd, head, 0, 20, 0);
  } finally {
    closeSync(fd);
  }
  if (head.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  return MACHINES[`${head.readUInt16LE(18)}:${head[4] ?? 0}`];
}
