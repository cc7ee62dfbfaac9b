/** For tests: a host in a folder, and a `pct` double that changes it as the real one does. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ImageConfig } from '@pxmgr/contract/agent';
import { ContainerSpec, type ImageDocument, type ImageSource } from '@pxmgr/contract/common';
import { createIdSource, systemClock } from '@pxmgr/kit/clock';
import type { Command } from '@pxmgr/kit/exec/command';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { onTestFinished, vi } from 'vitest';
import { Cluster } from '../host/cluster.ts';
import { HostPaths } from '../host/paths.ts';
import { TemplateStore } from '../image/template-store.ts';
import type { ImageFindings } from '../image/verify.ts';
import { OperationStore } from '../operation/operation-store.ts';
import { PveTasks } from '../operation/pve-task.ts';
import { OperationQueue } from '../operation/queue.ts';
import type { RecoveryRule } from '../operation/settle.ts';
import { ExecRecords } from './exec-records.ts';
import { GuestFiles } from './guest-file.ts';
import { GuestRecords } from './guest-records.ts';
import type { GuestParts } from './parts.ts';
import { RunState } from './run-state.ts';

export const DIGEST = `sha256:${'ab'.repeat(32)}`;
export const UID = '0123456789abcdef0123456789abcdef';
const NODE = 'pve1';
/** Who does not wait for quorum is done by then. */
const UNTIL_QUORUM_MS = 200;

export interface FixtureHost {
  readonly root: string;
  readonly parts: GuestParts;
  readonly runner: ScriptedRunner;
  write(path: string, text: string): void;
  /** Puts a guest's configuration there, and into .vmlist. */
  putGuest(vmid: number, text: string): void;
  dropGuest(vmid: number): void;
  setRunning(...vmids: number[]): void;
  /** The node is one of a cluster from now on, with quorum or without. */
  setQuorate(isQuorate: boolean): void;
  /** It has lost quorum, and has it again a moment after somebody has found that. */
  loseQuorum(): void;
  /** A task that has begun now and is no more; its log ends with `end`, or without a verdict when that is empty. */
  putTask(type: string, vmid: number, end: string): void;
  newStore(rules?: ReadonlyMap<string, RecoveryRule>): OperationStore;
  remove(): void;
}

/** A container of ours, 101 in most tests. */
export const WEB_CONFIG = `hostname: web\nrootfs: local:101/vm-101-disk-0.raw\nlxc.environment.hooks: PXMGR_GUEST=${UID}\n`;

/** A host with container 101, which is gone with the test. */
export async function hostWith(config: string): Promise<FixtureHost> {
  const host = await makeHost();
  onTestFinished(() => {
    host.remove();
  });
  host.putGuest(101, config);
  return host;
}

export async function makeHost(): Promise<FixtureHost> {
  const root = mkdtempSync(join(tmpdir(), 'pxmgr-guest-'));
  const paths = new HostPaths(root);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const guests = new Set<number>();
  const confOf = (vmid: number): string => `etc/pve/nodes/${NODE}/lxc/${vmid}.conf`;
  const vmlist = (): void => {
    const ids = Object.fromEntries([...guests].map((vmid) => [vmid, { node: NODE, type: 'lxc', version: 1 }]));
    write('etc/pve/.vmlist', JSON.stringify({ version: 1, ids }));
  };
  write('etc/pve/.members', `{"nodename":"${NODE}","version":1}`);
  write('sys/class/net/vmbr0/bridge/bridge_id', 'x');
  write('var/lib/vz/template/cache/app.tar', 'archive');
  write(`etc/pve/nodes/${NODE}/lxc/.keep`, '');
  write('proc/net/unix', '');
  vmlist();
  const runner = new ScriptedRunner();
  runner.allow({ file: 'flock' });
  const cluster = new Cluster(paths);
  const images = new TemplateStore(join(root, 'state/records'), paths);
  await images.put(imageRecord());
  const runState = new RunState(paths, systemClock);
  const parts: GuestParts = {
    paths,
    cluster,
    runState,
    images,
    records: new GuestRecords(join(root, 'state/guests.json')),
    execs: new ExecRecords(join(root, 'state/execs')),
    runner,
    files: new GuestFiles(paths, NODE),
    tasks: new PveTasks(paths),
    clock: systemClock,
    gpus: () => Promise.resolve([]),
  };
  const setQuorate = (isQuorate: boolean): void => {
    const members = { nodename: NODE, cluster: { name: 'c', quorate: isQuorate ? 1 : 0 } };
    write('etc/pve/.members', JSON.stringify(members));
  };
  let tasks = 0;
  const active: string[] = [];
  return {
    root,
    parts,
    runner,
    write,
    putGuest: (vmid, text) => {
      guests.add(vmid);
      vmlist();
      write(confOf(vmid), text);
    },
    dropGuest: (vmid) => {
      guests.delete(vmid);
      vmlist();
      rmSync(join(root, confOf(vmid)), { force: true });
    },
    setRunning: (...vmids) => {
      write(
        'proc/net/unix',
        vmids.map((vmid) => `0: 00000002 00000000 00010000 0001 01 1 @/var/lib/lxc/${vmid}/command\n`).join(''),
      );
    },
    setQuorate,
    loseQuorum: () => {
      setQuorate(false);
      const asked = vi.spyOn(cluster, 'quorate').mockImplementation(() => {
        asked.mockRestore();
        setTimeout(setQuorate, UNTIL_QUORUM_MS, true);
        return cluster.quorate();
      });
    },
    putTask: (type, vmid, end) => {
      tasks += 1;
      const start = (Math.floor(Date.now() / 1000) + tasks).toString(16).toUpperCase();
      const upid = `UPID:${NODE}:0000000${tasks}:0000AAAA:${start}:${type}:${vmid}:root@pam:`;
      active.push(`${upid} ${end === '' ? '0' : `1 ${start} ${end.replace(/^TASK (?:ERROR: )?/, '')}`}`);
      write(`var/log/pve/tasks/${start.at(-1) ?? ''}/${upid}`, `some output\n${end}\n`);
      write('var/log/pve/tasks/active', `${active.join('\n')}\n`);
    },
    newStore: (rules) =>
      new OperationStore({
        directory: join(root, 'state/operations'),
        clock: systemClock,
        ids: createIdSource(systemClock),
        runner,
        queue: new OperationQueue({ running: 4, waiting: 4, node: NODE }),
        node: { uid: 'n-test', name: NODE },
        cluster,
        ...(rules === undefined ? {} : { rules }),
      }),
    remove: () => {
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export const FINDINGS: ImageFindings = {
  osType: 'unmanaged',
  osProblem: undefined,
  uid: 1000,
  gid: 1001,
  home: '/srv',
  groups: { render: 103, video: 27 },
  volumes: ['/data'],
  hasShell: true,
  unpackedBytes: 1000,
  entryCount: 3,
  sample: [],
};

function imageRecord() {
  const document: ImageDocument = {
    digest: DIGEST,
    indexDigest: '',
    references: ['r/app:1'],
    platform: 'linux/amd64',
    sizeBytes: 7n,
    volumeId: 'local:vztmpl/app.tar',
    pulledAt: new Date(0),
    layers: [],
  };
  const config: ImageConfig = {
    ...ImageConfig.fromPartial({}),
    entrypoint: ['/serve'],
    command: [],
    env: ['A=1'],
    user: 'web',
  };
  return {
    document,
    config,
    findings: FINDINGS,
    archivePath: '/var/lib/vz/template/cache/app.tar',
    archiveBytes: 7,
    manifestDigest: DIGEST,
  };
}

export function specOf(change: Partial<ContainerSpec> = {}): ContainerSpec {
  const image: ImageSource = {
    reference: 'docker.io/team/app:1',
    digest: DIGEST,
    platform: 'linux/amd64',
    indexDigest: '',
    sizeBytes: 7n,
  };
  return {
    ...ContainerSpec.fromPartial({}),
    name: 'web',
    source: { $case: 'image', value: image },
    storage: 'local',
    memoryBytes: 256n * 1024n * 1024n,
    networks: [
      {
        name: 'eth0',
        bridge: 'vmbr0',
        ipv4: 'dhcp',
        gateway4: '',
        ipv6: '',
        gateway6: '',
        mac: '',
        vlan: 0,
        mtu: 0,
        firewall: false,
      },
    ],
    ...change,
  };
}

/** The configuration that Proxmox writes for a `pct create` command of an image. */
export function createdConfig(command: Command): string {
  const option = (name: string): string => command.args[command.args.indexOf(`--${name}`) + 1] ?? '';
  const has = (name: string): boolean => command.args.includes(`--${name}`);
  const vmid = command.args[1] ?? '';
  const lines = [
    'arch: amd64',
    'cmode: console',
    ...(has('dev0') ? [`dev0: ${option('dev0').replace('path=', '')}`] : []),
    'entrypoint: /serve',
    `hostname: ${option('hostname')}`,
    `memory: ${option('memory')}`,
    ...(has('mp0') ? [`mp0: local:${vmid}/vm-${vmid}-disk-1.raw,mp=/data,backup=1,size=4G`] : []),
    'net0: name=eth0,bridge=vmbr0,host-managed=1,hwaddr=BC:24:11:00:00:01,ip=dhcp,type=veth',
    'ostype: unmanaged',
    `rootfs: local:${vmid}/vm-${vmid}-disk-0.raw,size=4G`,
    `tags: ${option('tags')}`,
    'unprivileged: 1',
    'lxc.environment.runtime: A=1',
    'lxc.init.uid: 1000',
    'lxc.init.gid: 1001',
    'lxc.signal.halt: SIGTERM',
  ];
  return `${lines.join('\n')}\n`;
}
