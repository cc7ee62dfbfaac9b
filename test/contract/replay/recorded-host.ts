/** A stand-in host in the state that a recorded step was run in, and what a command changed on it. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Switches, setSwitches } from '../../../packages/sim/src/fault.ts';
import type { Host } from '../../../packages/sim/src/host.ts';
import { cutNode, stopPmxcfs, waitForNotice } from '../../../packages/sim/src/membership.ts';
import { createHost } from '../../../packages/sim/src/new-host.ts';
import { guestFile, readCluster, syncCluster } from '../../../packages/sim/src/pmxcfs.ts';
import { publishRunning, runningGuests } from '../../../packages/sim/src/running.ts';
import { parseStorageCfg } from '../../../packages/sim/src/storage-cfg.ts';
import type { RecordedStep } from './recorded-step.ts';

const DEFAULT_STORAGE = 'dir: local\n\tpath /var/lib/vz\n\tcontent rootdir,vztmpl,iso,snippets,images\n';
const NODES = ['pve1', 'pve2', 'pve3'] as const;
const PLAYED_PID = 6_000_000;

/** The recorded lab's template: a root without os-release and without any file of a distribution. */
export function makeTemplates(folder: string): string {
  const tree = join(folder, 'tree');
  for (const name of ['bin', 'etc', 'sbin', 'tmp', 'proc', 'sys', 'dev'])
    mkdirSync(join(tree, name), { recursive: true });
  writeFileSync(join(tree, 'bin/sh'), '#!not an ELF file\n', { mode: 0o755 });
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\n');
  const path = join(folder, 'busybox-1.35_amd64.tar.gz');
  execFileSync('tar', ['-C', tree, '-czf', path, '.']);
  return path;
}

export interface Lab {
  readonly host: Host;
  readonly hosts: ReadonlyMap<string, Host>;
  remove(): void;
}

export function seedLab(step: RecordedStep, template: string): Lab {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-replay-'));
  const clusterDir = join(folder, 'cluster');
  const text = JSON.stringify([step.given, step.argv, step.pre, step.stderr, step.stdout]);
  const names = NODES.filter((name) => name === 'pve1' || name === step.host || text.includes(name));
  const hosts = new Map<string, Host>();
  for (const [index, name] of names.entries()) {
    const root = join(folder, name);
    mkdirSync(root);
    const storages = parseStorageCfg(step.pre.storage_cfg ?? DEFAULT_STORAGE);
    hosts.set(
      name,
      createHost(root, { name, cores: 2, memoryBytes: 8 * 1024 ** 3, clusterDir, ip: `10.0.0.${index + 1}`, storages }),
    );
  }
  const host = hosts.get(step.host);
  if (host === undefined) throw new Error(`no host ${step.host}`);
  writeFileSync(host.clusterPath('storage.cfg'), step.pre.storage_cfg ?? DEFAULT_STORAGE);
  for (const one of hosts.values())
    copyFileSync(template, one.path('/var/lib/vz/template/cache/busybox-1.35_amd64.tar.gz'));
  seedFiles(host);
  seedGuests(host, step);
  seedStore(host, step);
  setSwitches(host, { ignoreHalt: deafGuests(step), waitScale: 0.01, ...fullStorage(step) });
  syncCluster(host);
  if (step.pre.quorate === null) stopPmxcfs(host);
  if (step.pre.quorate === 0) {
    cutNode(host);
    waitForNotice(host);
  }
  if (step.given.includes('quorum loss not yet noticed')) cutNode(host);
  return { host, hosts, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function fullStorage(step: RecordedStep): Switches {
  return /file system 100 % full/.test(step.given) ? { freeBytes: { small: 0 } } : {};
}

/** What the recorded lab had besides: snippets, keys and files to push. */
function seedFiles(host: Host): void {
  const files: Readonly<Record<string, { text: string; mode?: number }>> = {
    '/var/lib/vz/snippets/hk.sh': { text: '#!/bin/sh\necho "HOOK $1 $2"\n', mode: 0o755 },
    '/var/lib/vz/snippets/noexec.sh': { text: '#!/bin/sh\n', mode: 0o644 },
    '/root/k1.pub': {
      text: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExam lab\n',
    },
    '/root/f1': { text: 'hello\n' },
    '/root/f200k': { text: 'x'.repeat(200_000) },
  };
  for (const [path, { text, mode }] of Object.entries(files))
    writeFileSync(host.path(path), text, { mode: mode ?? 0o644 });
}

function seedGuests(host: Host, step: RecordedStep): void {
  const configs = new Map(
    Object.entries(step.pre.configs).map(([path, text]) => [path.replace(/^\/etc\/pve\//, ''), text]),
  );
  for (const [vmid, guest] of Object.entries(step.pre.vmlist_ids)) {
    const path = guestFile(guest.node, guest.type === 'qemu' ? 'qemu' : 'lxc', Number(vmid));
    if (!configs.has(path)) configs.set(path, `arch: amd64\nhostname: h${vmid}\nmemory: 64\nostype: unmanaged\n`);
  }
  for (const [path, text] of configs) {
    mkdirSync(dirname(host.clusterPath(path)), { recursive: true });
    writeFileSync(host.clusterPath(path), text);
  }
  for (const vmid of step.pre.running_here.map(Number)) {
    const kind = step.pre.vmlist_ids[vmid]?.type === 'qemu' ? 'qemu' : 'lxc';
    publishRunning(host, { vmid, kind, pid: PLAYED_PID + vmid, since: Date.now() - 60_000, isPlayed: true });
  }
}

/** Process 1 without a handler for the halt signal never gets it; the recorded lab's init ends on it. */
function deafGuests(step: RecordedStep): number[] {
  const isDeaf = (vmid: number): boolean => {
    const text = step.pre.configs[`/etc/pve/nodes/${step.host}/lxc/${vmid}.conf`] ?? '';
    return /^entrypoint: .*sleep/m.test(text) || /does not react to the halt signal/.test(step.given);
  };
  return step.pre.running_here.map(Number).filter(isDeaf);
}

/** Files of guests: what is there is known only for the guests concerned. */
function seedStore(host: Host, step: RecordedStep): void {
  for (const [path, file] of Object.entries(step.pre.store)) {
    const real = host.path(path);
    if (file.type === 'dir') {
      mkdirSync(real, { recursive: true });
      continue;
    }
    mkdirSync(dirname(real), { recursive: true });
    writeFileSync(real, '');
    truncateSync(real, file.size ?? 0);
    if (/\/images\/\d+\/[^/]+$/.test(path))
      mkdirSync(real.replace(/\/images\/(\d+\/[^/]+)$/, '/.volumes/$1'), { recursive: true });
  }
}

export interface HostState {
  readonly configs: ReadonlyMap<string, string>;
  readonly version: Readonly<Record<string, number>>;
  readonly vmlist: string;
  readonly tasks: ReadonlyMap<string, string>;
  readonly lines: readonly string[];
  readonly log: readonly string[];
  readonly store: ReadonlyMap<string, number | undefined>;
  readonly running: readonly string[];
}

export function stateOf(host: Host): HostState {
  syncCluster(host);
  const cluster = readCluster(host);
  const version: Record<string, number> = { vmlist: cluster.vmlist, clinfo: cluster.clinfo };
  for (const [file, count] of Object.entries(cluster.files)) version[file] = count;
  for (const [node, count] of Object.entries(cluster.tasklist)) version[`kvstore.${node}.tasklist`] = count;
  const taskFiles = filesBelow(host.path('/var/log/pve/tasks'));
  return {
    configs: configsOf(host),
    version,
    vmlist: String(cluster.vmlist),
    tasks: new Map(
      taskFiles
        .filter((path) => /\/UPID:[^/]+$/.test(path))
        .map((path) => [path.slice(path.lastIndexOf('/') + 1), readFileSync(path, 'utf8')]),
    ),
    lines: ['active', 'index'].flatMap((name) =>
      linesOf(host.path(`/var/log/pve/tasks/${name}`)).map((line) => `${name} ${line}`),
    ),
    log: [...cluster.log].reverse().map((entry) => `${entry.uid} ${entry.tag} ${entry.user} ${entry.msg}`),
    store: storeOf(host),
    running: runningGuests(host).map((guest) => String(guest.vmid)),
  };
}

function configsOf(host: Host): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of filesBelow(host.clusterPath('nodes')))
    if (/\.conf$/.test(path)) found.set(path.replace(host.clusterDir, '/etc/pve'), readFileSync(path, 'utf8'));
  return found;
}

function storeOf(host: Host): Map<string, number | undefined> {
  const found = new Map<string, number | undefined>();
  for (const storage of host.storages()) {
    const path = storage.options['path'];
    if (path === undefined) continue;
    const walk = (folder: string): void => {
      if (!existsSync(host.path(folder)) || !statSync(host.path(folder)).isDirectory()) return;
      for (const name of readdirSync(host.path(folder))) {
        const stat = statSync(host.path(join(folder, name)), { throwIfNoEntry: false });
        if (stat === undefined) continue;
        found.set(
          `${join(folder, name)}${stat.isDirectory() && !name.endsWith('.subvol') ? '/' : ''}`,
          stat.isDirectory() ? undefined : stat.size,
        );
        if (stat.isDirectory() && !name.endsWith('.subvol')) walk(join(folder, name));
      }
    };
    for (const content of ['images', 'template/cache', 'template/iso', 'snippets']) walk(join(path, content));
  }
  return found;
}

function linesOf(path: string): string[] {
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
