/** What a node tells of itself, and what the cluster file system keeps (pve-manager PVE/API2/Nodes.pm, PVE/API2/Cluster.pm). */
import { createHash } from 'node:crypto';
import { readCluster, readPveFile } from '../cluster/pmxcfs.ts';
import { readText } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { PVE_REPOID, PVE_VERSION } from '../host/version.ts';

const GIB = 1024 ** 3;

export function nodeStatus(host: Host): Record<string, unknown> {
  const { cores, memoryBytes, cpuModel, startTime } = host.identity;
  const used = Math.floor(memoryBytes * 0.2);
  const kernel = kernelOf(host);
  return {
    'boot-info': { mode: 'legacy-bios' },
    cpu: 0.01,
    cpuinfo: {
      ...processorOf(host),
      cores,
      cpus: cores,
      sockets: 1,
      model: cpuModel,
      mhz: '3000.000',
      hvm: '1',
      user_hz: 100,
    },
    'current-kernel': kernel,
    idle: 0,
    ksm: { shared: 0 },
    kversion: `${kernel.sysname} ${kernel.release} ${kernel.version}`,
    loadavg: ['0.10', '0.12', '0.09'],
    memory: { total: memoryBytes, used, free: memoryBytes - used, available: memoryBytes - used },
    pveversion: `pve-manager/${PVE_VERSION}/${PVE_REPOID}`,
    rootfs: { total: 100 * GIB, used: 10 * GIB, free: 90 * GIB, avail: 85 * GIB },
    swap: { total: 8 * GIB, used: 0, free: 8 * GIB },
    uptime: Math.floor(Date.now() / 1000) - startTime + 1000,
    wait: 0,
  };
}

function processorOf(host: Host): Record<string, string> {
  const text = readText(host.path('/proc/cpuinfo')) ?? '';
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1] ?? '';
  return { flags: field('flags'), vendor: field('vendor_id'), family: field('cpu family') };
}

function kernelOf(host: Host): Record<'machine' | 'release' | 'sysname' | 'version', string> {
  const line = readText(host.path('/proc/version')) ?? '';
  const [, release = '', version = ''] = /^Linux version (\S+) .*?(#\d.*)$/m.exec(line) ?? [];
  return { machine: 'x86_64', release, sysname: 'Linux', version };
}

/** Newest first; 0: all that is kept. */
export function clusterLogRows(host: Host, max: number): Record<string, unknown>[] {
  const { log } = readCluster(host);
  return log.slice(0, max > 0 ? max : log.length).map((entry) => ({
    ...entry,
    uid: String(entry.uid),
    id: `${entry.uid}:${entry.node}`,
  }));
}

const INDEXES = ['download.proxmox.com', 'releases.turnkeylinux.org'] as const;

/** Nothing was ever downloaded here, so each index is missing and told so. */
export function templateIndex(host: Host, warn: (line: string) => void): unknown[] {
  for (const name of INDEXES) {
    const path = `/var/lib/pve-manager/apl-info/${name}`;
    if (readText(host.path(path)) === undefined) warn(`unable to open file '${path}' - No such file or directory\n`);
  }
  return [];
}

/** The options of the guest's firewall file, and the digest of the whole file. */
export function firewallOptions(host: Host, vmid: number): Record<string, unknown> {
  const text = readPveFile(host, `firewall/${vmid}.fw`) ?? '';
  const [, body = ''] = /^\[OPTIONS\]\n([^[]*)/im.exec(text) ?? [];
  const rows = [...body.matchAll(/^([a-z_]+): *(\S.*)$/gm)].map(
    ([, key = '', value = '']): [string, string | number] => [key, /^\d+$/.test(value) ? Number(value) : value],
  );
  return { ...Object.fromEntries(rows), digest: createHash('sha1').update(text).digest('hex') };
}
