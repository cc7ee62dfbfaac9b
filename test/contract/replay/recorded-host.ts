/** Stand-in hosts in the state that a recorded step was run in. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Switches, setSwitches } from '../../../packages/sim/src/call/fault.ts';
import { turnSwitches } from '../../../packages/sim/src/call/switches.ts';
import { cutNode, restartPmxcfs, stopPmxcfs, waitForNotice } from '../../../packages/sim/src/cluster/membership.ts';
import { guestFile, syncCluster } from '../../../packages/sim/src/cluster/pmxcfs.ts';
import { createHost } from '../../../packages/sim/src/fleet/new-host.ts';
import type { Host, RuntimeKind } from '../../../packages/sim/src/host/host.ts';
import { publishRunning } from '../../../packages/sim/src/host/running.ts';
import { parseStorageCfg } from '../../../packages/sim/src/text/storage-cfg.ts';
import type { History } from './history.ts';
import { fillRoot, seedFiles, type Template } from './lab-files.ts';
import { seedListed } from './lab-listed.ts';
import { seedTasks } from './lab-tasks.ts';
import type { RecordedStep } from './recorded-step.ts';

const DEFAULT_STORAGE = 'dir: local\n\tpath /var/lib/vz\n\tcontent rootdir,vztmpl,iso,snippets,images\n';
const NODES = ['pve1', 'pve2', 'pve3'] as const;
/** Waits of the tools are shortened; what they say does not depend on them. */
const WAIT_SCALE = 0.02;
const PLAYED_PID = 6_000_000;

export interface Lab {
  readonly host: Host;
  readonly hosts: ReadonlyMap<string, Host>;
  /** Guests that really run here. */
  readonly started: string[];
  remove(): void;
}

export interface LabSetUp {
  readonly step: RecordedStep;
  readonly template: Template;
  readonly history: History;
  readonly runtime: RuntimeKind;
}

export function seedLab(setUp: LabSetUp): Lab {
  const { step } = setUp;
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-replay-'));
  const hosts = createHosts(step, { folder, runtime: setUp.runtime });
  const host = must(hosts, step.host);
  writeFileSync(host.clusterPath('storage.cfg'), step.pre.storage_cfg ?? DEFAULT_STORAGE);
  // The lab's only pool; steps that name another are refused.
  writeFileSync(host.clusterPath('user.cfg'), 'user:root@pam:1:0:::::\n\n\npool:p1::::\n');
  for (const one of hosts.values()) seedNode(one, setUp.template);
  seedGuests(host, setUp);
  seedStore(host, setUp);
  if (/the path is a regular file/.test(step.given)) replaceByFile(host, step);
  seedListed(host, step);
  seedTasks(hosts, setUp);
  turnSwitches(host, switchesFor(step));
  syncCluster(host);
  cutOff(hosts, step);
  if (/pve-cluster restarted/.test(step.given)) restartPmxcfs(host);
  return { host, hosts, started: [], remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function replaceByFile(host: Host, { argv }: RecordedStep): void {
  const path = host.path(host.storages().find(({ id }) => id === argv[2])?.options['path'] ?? '/nowhere');
  rmSync(path, { recursive: true, force: true });
  writeFileSync(path, '');
}

/** The lab had cgroup v1, no AppArmor, no ZFS, no network outside, one certificate, and a status daemon that could not tell of its node. */
function seedNode(host: Host, template: Template): void {
  seedFiles(host, template);
  rmSync(host.path('/sys/fs/cgroup/cgroup.controllers'));
  if (host.name !== 'pve1') rmSync(host.clusterPath('nodes', host.name, 'pve-ssl.pem'));
  setSwitches(host, { noNodeReport: true, noApparmor: true, noNetwork: true, noZfs: true });
}

function createHosts(step: RecordedStep, { folder, runtime }: { folder: string; runtime: RuntimeKind }) {
  const text = JSON.stringify([step.given, step.argv, step.pre, step.stderr, step.stdout]);
  const names = NODES.filter((name) => name === 'pve1' || name === step.host || text.includes(name));
  const hosts = new Map<string, Host>();
  for (const name of names) {
    const root = join(folder, name);
    mkdirSync(root);
    const spec = {
      name,
      cores: 2,
      memoryBytes: 8 * 1024 ** 3,
      clusterDir: join(folder, 'cluster'),
      ip: `10.20.0.1${NODES.indexOf(name) + 1}`,
      storages: parseStorageCfg(step.pre.storage_cfg ?? DEFAULT_STORAGE),
      runtime,
    };
    hosts.set(name, createHost(root, spec));
  }
  return hosts;
}

function cutOff(hosts: ReadonlyMap<string, Host>, step: RecordedStep): void {
  const { quorate } = step.pre;
  if (quorate === null) stopPmxcfs(must(hosts, step.host));
  const cut = quorate === 0 ? step.host : /(pve\d)(?: is)? cut off/.exec(step.given)?.[1];
  if (cut !== undefined) {
    turnSwitches(must(hosts, cut), { waitScale: WAIT_SCALE });
    cutNode(must(hosts, cut));
    waitForNotice(must(hosts, cut));
  }
  if (!step.given.includes('quorum loss not yet noticed')) return;
  // Not before the state was read, on a busy machine too.
  turnSwitches(must(hosts, step.host), { waitScale: 0.5 });
  cutNode(must(hosts, step.host));
  turnSwitches(must(hosts, step.host), { waitScale: WAIT_SCALE });
}

function must(hosts: ReadonlyMap<string, Host>, name: string): Host {
  const host = hosts.get(name);
  if (host === undefined) throw new Error(`no host ${name}`);
  return host;
}

function switchesFor(step: RecordedStep): Switches {
  const small = /(?:small|file system)[^;]*24 MB/.test(step.given) || /24 MB file system/.test(step.given);
  return {
    waitScale: WAIT_SCALE,
    // The lab's nodes did not know each other's ssh keys.
    noSsh: true,
    ignoreHalt: deafGuests(step),
    ...(/ends about 2 s after the halt signal/.test(step.given) && /--timeout [12]( |$)/.test(step.argv.join(' '))
      ? { haltMs: 2500 }
      : {}),
    ...(small && /100 % full/.test(step.given) ? { freeBytes: { small: 0 } } : {}),
  };
}

function seedGuests(host: Host, { step, history, runtime }: LabSetUp): void {
  const known = new Map([...history.configs, ...Object.entries(step.pre.configs)]);
  const configs = new Map(Object.entries(step.pre.configs));
  const listed = typeof step.pre.vmlist_ids === 'string' ? fleetOf(step) : Object.entries(step.pre.vmlist_ids);
  for (const [vmid, guest] of listed) {
    const path = `/etc/pve/${guestFile(guest.node, guest.type === 'qemu' ? 'qemu' : 'lxc', Number(vmid))}`;
    if (!configs.has(path))
      configs.set(
        path,
        guest.config ?? known.get(path) ?? `arch: amd64\nhostname: h${vmid}\nmemory: 64\nostype: unmanaged\n`,
      );
  }
  for (const [path, text] of configs) {
    const file = host.clusterPath(path.replace(/^\/etc\/pve\//, ''));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  if (runtime === 'lxc') return; // started for real
  for (const vmid of step.pre.running_here.map(Number)) {
    const kind = configs.has(`/etc/pve/${guestFile(step.host, 'qemu', vmid)}`) ? 'qemu' : 'lxc';
    publishRunning(host, { vmid, kind, pid: PLAYED_PID + vmid, since: Date.now() - 60_000, isPlayed: true });
  }
}

/** "N guests": the recording kept only their number; all alike, on pve1 from 400 on. */
function fleetOf(step: RecordedStep): [string, { node: string; type: string; config?: string }][] {
  const count = Number(
    /^(\d+) guests$/.exec(typeof step.pre.vmlist_ids === 'string' ? step.pre.vmlist_ids : '')?.[1] ?? 0,
  );
  return Array.from({ length: count }, (_, n) => [
    String(400 + n),
    {
      node: 'pve1',
      type: 'lxc',
      config: `arch: amd64\ncores: 2\nhostname: ct${400 + n}\nmemory: 512\nostype: debian\nrootfs: local:${400 + n}/vm-${400 + n}-disk-0.raw,size=8G\nswap: 512\ntags: fleet;t${n % 5}\nunprivileged: 1\n`,
    },
  ]);
}

/** Process 1 without a handler for the halt signal never gets it; the recorded lab's init ends on it. */
function deafGuests(step: RecordedStep): number[] {
  const isDeaf = (vmid: number): boolean => {
    const text = step.pre.configs[`/etc/pve/nodes/${step.host}/lxc/${vmid}.conf`] ?? '';
    return /^entrypoint: .*sleep/m.test(text) || /does not react to the halt signal/.test(step.given);
  };
  return step.pre.running_here.map(Number).filter(isDeaf);
}

/** Made by the image that the guest came from. */
function workingDirectories(step: RecordedStep): string[] {
  const texts = Object.values(step.pre.configs).join('\n');
  return [...texts.matchAll(/^lxc\.init\.cwd: (\/.*)$/gm)].map((match) => match[1] ?? '/');
}

const NEEDS_ROOT = /^(?:exec|enter|push|pull|start|reboot|console|df)$/;

/** Files of guests: what is there is known only for the guests concerned. */
function seedStore(host: Host, { step, template }: LabSetUp): void {
  for (const [path, file] of Object.entries({ ...step.effects?.store?.removed, ...step.pre.store })) {
    const real = host.path(path);
    if (file.type === 'dir') {
      mkdirSync(real, { recursive: true });
      continue;
    }
    if (existsSync(real)) continue; // a template that was put there whole
    mkdirSync(dirname(real), { recursive: true });
    writeFileSync(real, '');
    truncateSync(real, file.size ?? 0);
    if (!/\/images\/\d+\/[^/]+$/.test(path)) continue;
    const root = real.replace(/\/images\/(\d+\/[^/]+)$/, '/.volumes/$1');
    mkdirSync(root, { recursive: true });
    if (NEEDS_ROOT.test(step.argv[1] ?? '') && /-disk-0\./.test(path))
      fillRoot(template, root, workingDirectories(step));
    // The images had no folder of that name.
    if (/^container just created from/.test(step.given)) rmSync(join(root, 'run'), { recursive: true, force: true });
  }
}
