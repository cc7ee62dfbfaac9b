/** The directories and files a fresh node has: identity, /proc and /sys facts, /etc/pve with its links. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { registerMember } from '../cluster/pmxcfs.ts';
import { linkPve, SHARED_FOLDERS } from '../cluster/pve-links.ts';
import { writeFileAtomicSync } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { requiredOptions } from '../schema/schema-data.ts';
import { formatStorageCfg, type Storage } from '../text/storage-cfg.ts';

const DIRECTORIES = [
  '/bin',
  '/etc/network',
  '/run/lock/lxc',
  '/run/lock/pve-manager',
  '/run/pve',
  '/run/qemu-server',
  '/tmp',
  '/var/log/pve/tasks',
  '/var/lib/lxc',
  '/var/lib/vz/images',
  '/var/lib/vz/template/cache',
  '/var/lib/vz/template/iso',
  '/var/lib/vz/snippets',
  '/var/lib/vz/dump',
  '/var/lib/pve-manager',
  '/usr/share/pve-manager',
  '/root',
  '/proc/net',
  '/sys/fs/cgroup/lxc',
  '/sys/class/net',
  '/dev',
  '/sys/fs/cgroup/system.slice/system-pve\\x2dcontainer.slice',
] as const;

export function buildHostTree(host: Host, storages: readonly Storage[] | undefined): void {
  for (const directory of DIRECTORIES) mkdirSync(host.path(directory), { recursive: true });
  for (const digit of '0123456789ABCDEF') mkdirSync(host.path(`/var/log/pve/tasks/${digit}`), { recursive: true });
  mkdirSync(host.path('/var'), { recursive: true });
  if (!existsSync(host.path('/var/lock'))) symlinkSync('../run/lock', host.path('/var/lock'));
  writeIdentity(host);
  writeMachine(host);
  buildPve(host, storages);
  for (const storage of host.storages()) if (storage.type === 'dir') mkdirStorage(host, storage);
}

function mkdirStorage(host: Host, storage: Storage): void {
  for (const folder of ['images', 'template/cache', 'template/iso', 'snippets', 'dump']) {
    mkdirSync(join(host.path(storage.options['path'] ?? '/var/lib/vz'), folder), { recursive: true });
  }
}

function buildPve(host: Host, storages: readonly Storage[] | undefined): void {
  const shared = host.clusterDir;
  mkdirSync(join(shared, '.sim'), { recursive: true });
  for (const folder of [...SHARED_FOLDERS, 'priv/lock']) mkdirSync(join(shared, folder), { recursive: true });
  for (const kind of ['lxc', 'qemu-server', 'priv'])
    mkdirSync(join(shared, 'nodes', host.name, kind), { recursive: true });
  writeFileAtomicSync(join(shared, 'nodes', host.name, 'pve-ssl.pem'), certificate(host), 0o640);
  if (storages !== undefined && !existsSync(join(shared, 'storage.cfg'))) {
    writeFileAtomicSync(join(shared, 'storage.cfg'), formatStorageCfg(storages, requiredOptions), 0o640);
  }
  linkPve(host);
  registerMember(host);
}

/** In form only: something to make a fingerprint of, another one for every node. */
function certificate(host: Host): string {
  const body = host.draw('certificate', 32).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
}

function writeIdentity(host: Host): void {
  const { name, ip, bridges } = host.identity;
  const files: Record<string, string> = {
    '/etc/hostname': `${name}\n`,
    '/etc/hosts': `127.0.0.1 localhost\n${ip} ${name}.example ${name}\n`,
    '/etc/os-release':
      'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nVERSION="13 (trixie)"\nVERSION_CODENAME=trixie\nID=debian\n',
    '/etc/subuid': 'root:100000:65536\n',
    '/etc/subgid': 'root:100000:65536\n',
    '/etc/network/interfaces': `auto lo\niface lo inet loopback\n${bridges.map((b, i) => `\nauto ${b}\niface ${b} inet ${i === 0 ? 'static' : 'manual'}\n${i === 0 ? `\taddress ${ip}/24\n` : ''}\tbridge-ports none\n\tbridge-stp off\n\tbridge-fd 0\n`).join('')}`,
    '/etc/resolv.conf': 'search example\nnameserver 192.0.2.53\n',
    '/etc/timezone': 'Etc/UTC\n',
  };
  for (const [path, text] of Object.entries(files)) writeFileSync(host.path(path), text);
  for (const bridge of bridges) {
    mkdirSync(host.path(`/sys/class/net/${bridge}/bridge`), { recursive: true });
    writeFileSync(host.path(`/sys/class/net/${bridge}/mtu`), '1500\n');
    writeFileSync(host.path(`/sys/class/net/${bridge}/operstate`), 'up\n');
  }
}

function writeMachine(host: Host): void {
  const { cores, memoryBytes, cpuModel } = host.identity;
  const kib = Math.floor(memoryBytes / 1024);
  const cpu = (n: number): string =>
    `processor\t: ${n}\nvendor_id\t: GenuineIntel\nmodel name\t: ${cpuModel}\ncpu MHz\t\t: 3000.000\nphysical id\t: 0\nsiblings\t: ${cores}\ncore id\t\t: ${n}\ncpu cores\t: ${cores}\nflags\t\t: fpu vmx sse sse2 ssse3 sse4_1 sse4_2 avx avx2\n`;
  const stat = (name: string): string => `${name} 1000 0 500 90000 100 0 10 0 0 0`;
  const files: Record<string, string> = {
    '/proc/cpuinfo': Array.from({ length: cores }, (_, n) => cpu(n)).join('\n'),
    '/proc/meminfo': `MemTotal:       ${kib} kB\nMemFree:        ${Math.floor(kib * 0.7)} kB\nMemAvailable:   ${Math.floor(kib * 0.8)} kB\nBuffers:        10240 kB\nCached:         ${Math.floor(kib * 0.1)} kB\nSwapTotal:      8388604 kB\nSwapFree:       8388604 kB\n`,
    '/proc/stat': `${[stat('cpu'), ...Array.from({ length: cores }, (_, n) => stat(`cpu${n}`))].join('\n')}\nbtime ${host.identity.startTime - 1000}\n`,
    '/proc/loadavg': '0.10 0.12 0.09 1/200 4711\n',
    '/proc/uptime': '1000.00 9000.00\n',
    '/proc/version': 'Linux version 6.17.2-1-pve (build@example) (gcc 14.2.0) #1 SMP PREEMPT_DYNAMIC\n',
    '/proc/net/unix': 'Num       RefCount Protocol Flags    Type St Inode Path\n',
    '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory pids\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(host.path(path)), { recursive: true });
    writeFileSync(host.path(path), text);
  }
}
