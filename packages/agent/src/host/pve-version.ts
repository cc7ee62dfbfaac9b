/** Versions of the Proxmox packages from dpkg's own database: no Perl start for a version number. */
import type { Runner } from '@pxmgr/kit/exec/command';
import type { HostPaths } from './paths.ts';

/** What gates capabilities, and what an operator wants to see. */
export const WATCHED_PACKAGES = [
  'pve-manager',
  'pve-container',
  'qemu-server',
  'pve-cluster',
  'libpve-storage-perl',
  'lxc-pve',
  'zfsutils-linux',
  'skopeo',
] as const;

export type PackageVersions = ReadonlyMap<string, string>;

/** Installed packages of `names` in dpkg's status file (dpkg(1), deb-control(5) stanzas). */
export function parseDpkgStatus(text: string, names: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of names) {
    const at = text.startsWith(`Package: ${name}\n`) ? 0 : text.indexOf(`\nPackage: ${name}\n`);
    if (at < 0) continue;
    const end = text.indexOf('\n\n', at + 1);
    const stanza = text.slice(at, end < 0 ? undefined : end);
    const version = /^Version: (\S+)$/m.exec(stanza)?.[1];
    if (version !== undefined && /^Status: .* installed$/m.test(stanza)) found.set(name, version);
  }
  return found;
}

/** `pveversion -v`: lines "package: version", the first two with the running kernel behind. */
export function parsePveversion(text: string, names: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([a-z0-9][a-z0-9+.-]*): ([0-9]\S*)/.exec(line);
    if (match !== null && names.includes(match[1] ?? '')) found.set(match[1] ?? '', match[2] ?? '');
  }
  return found;
}

/**
 * Read once at start. `pveversion -v` is asked only when dpkg knows no pve-manager; a host without either gives an
 * empty map.
 */
export async function readPackageVersions(paths: HostPaths, runner: Runner): Promise<PackageVersions> {
  const known = parseDpkgStatus(paths.readIfThere('/var/lib/dpkg/status') ?? '', WATCHED_PACKAGES);
  if (known.has('pve-manager')) return known;
  try {
    const command = {
      file: 'pveversion',
      args: ['-v'],
      purpose: 'package versions',
      timeoutMs: 10_000,
      readOnly: true,
    };
    const { stdout, exitCode } = await runner.run(command);
    return exitCode === 0 ? new Map([...known, ...parsePveversion(stdout, WATCHED_PACKAGES)]) : known;
  } catch {
    // No such program: not a Proxmox host, or a stand-in without it. Capabilities then say what is missing.
    return known;
  }
}

function parts(version: string): number[] {
  return (version.replace(/^\d+:/, '').split(/[^0-9.]/)[0] ?? '')
    .split('.')
    .map((part) => Number.parseInt(part, 10) || 0);
}

/** Compares the dotted numbers at the front; false for an unknown version. */
export function isAtLeast(version: string | undefined, wanted: string): boolean {
  if (version === undefined || version === '') return false;
  const have = parts(version);
  for (const [index, want] of parts(wanted).entries()) {
    const got = have[index] ?? 0;
    if (got !== want) return got > want;
  }
  return true;
}
