/** `qm` (qemu-server src/PVE/CLI/qm.pm): what reads is here, what changes is in qm/. */

import type { Tool } from '../call/tool.ts';
import { readCluster, syncCluster } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';
import { runningGuest } from '../host/running.ts';
import { flag, type Verb, type VerbHandler } from '../pct/context.ts';
import { loadVm } from '../qm/vm.ts';
import { encodeText } from '../text/code.ts';
import { parseSize } from '../text/size.ts';
import { runCommands } from './run-commands.ts';

export function ownVms(host: Host): number[] {
  syncCluster(host);
  const guests = Object.entries(readCluster(host).guests);
  return guests
    .filter(([, guest]) => guest.type === 'qemu' && guest.node === host.name)
    .map(([vmid]) => Number(vmid))
    .sort((a, b) => a - b);
}

function stateOf(host: Host, vmid: number): string {
  return runningGuest(host, vmid) === undefined ? 'stopped' : 'running';
}

/** Size of the first disk in the boot order, else of the first disk. */
function bootDiskGib(values: ReadonlyMap<string, string>): number {
  const order = /order=([^,\s]+)/.exec(values.get('boot') ?? '')?.[1]?.split(';') ?? [];
  const disk = [...order, ...values.keys()].find(
    (key) => /^(?:scsi|virtio|sata|ide)\d+$/.test(key) && !(values.get(key) ?? '').includes('media=cdrom'),
  );
  const size = /size=([^,]+)/.exec(values.get(disk ?? '') ?? '')?.[1];
  return (parseSize(size ?? '') ?? 0) / 1024 ** 3;
}

const list: VerbHandler = async (verb) => {
  const vmids = ownVms(verb.host);
  if (vmids.length === 0) return 0;
  const line = (w: readonly string[]): string =>
    `${(w[0] ?? '').padStart(10)} ${(w[1] ?? '').padEnd(20)} ${(w[2] ?? '').padEnd(10)} ${(w[3] ?? '').padEnd(10)} ${(w[4] ?? '').padStart(12)} ${(w[5] ?? '').padEnd(10)}\n`;
  verb.io.out(line(['VMID', 'NAME', 'STATUS', 'MEM(MB)', 'BOOTDISK(GB)', 'PID']));
  for (const vmid of vmids) {
    const { values } = loadVm(verb.host, vmid);
    const row = [
      String(vmid),
      values.get('name') ?? `VM ${vmid}`,
      stateOf(verb.host, vmid),
      values.get('memory') ?? '512',
      bootDiskGib(values).toFixed(2),
      String(runningGuest(verb.host, vmid)?.pid ?? 0),
    ];
    verb.io.out(line(row));
  }
  return 0;
};

export function vmStatusFields(host: Host, vmid: number): Record<string, string | number> {
  const { values } = loadVm(host, vmid);
  const running = runningGuest(host, vmid);
  const cpus = Number(values.get('cores') ?? 1) * Number(values.get('sockets') ?? 1);
  return {
    cpus,
    disk: 0,
    maxdisk: bootDiskGib(values) * 1024 ** 3,
    maxmem: Number(values.get('memory') ?? 512) * 1024 * 1024,
    mem: 0,
    memhost: 0,
    name: values.get('name') ?? `VM ${vmid}`,
    netin: 0,
    netout: 0,
    qmpstatus: stateOf(host, vmid),
    status: stateOf(host, vmid),
    ...(values.has('tags') ? { tags: values.get('tags') ?? '' } : {}),
    ...(values.get('template') === '1' ? { template: 1 } : {}),
    ...(values.has('lock') ? { lock: values.get('lock') ?? '' } : {}),
    ...(running === undefined ? {} : { pid: running.pid }),
    uptime: running === undefined ? 0 : Math.floor((Date.now() - running.since) / 1000),
    vmid,
  };
}

const status: VerbHandler = async (verb: Verb) => {
  const fields = vmStatusFields(verb.host, verb.vmid);
  if (!flag(verb, 'verbose')) verb.io.out(`status: ${String(fields['status'])}\n`);
  else for (const key of Object.keys(fields).sort()) verb.io.out(`${key}: ${String(fields[key])}\n`);
  return 0;
};

const config: VerbHandler = async (verb) => {
  const found = loadVm(verb.host, verb.vmid);
  const values = new Map(found.values);
  if (!flag(verb, 'current')) for (const [key, value] of found.pending) if (key !== 'delete') values.set(key, value);
  for (const key of [...values.keys()].sort())
    verb.io.out(`${key}: ${key === 'description' ? encodeText(values.get(key) ?? '') : (values.get(key) ?? '')}\n`);
  return 0;
};

const VERBS: Readonly<Record<string, () => Promise<VerbHandler>>> = {
  list: async () => list,
  status: async () => status,
  config: async () => config,
  create: async () => (await import('../qm/disk.ts')).create,
  clone: async () => (await import('../qm/disk.ts')).clone,
  template: async () => (await import('../qm/disk.ts')).template,
  'disk resize': async () => (await import('../qm/disk.ts')).resize,
  set: async () => (await import('../qm/change.ts')).set,
  pending: async () => (await import('../qm/change.ts')).pending,
  unlock: async () => (await import('../qm/change.ts')).unlock,
  destroy: async () => (await import('../qm/change.ts')).destroy,
  start: async () => (await import('../qm/power.ts')).start,
  stop: async () => (await import('../qm/power.ts')).stop,
  shutdown: async () => (await import('../qm/power.ts')).shutdown,
  reboot: async () => (await import('../qm/power.ts')).reboot,
  snapshot: async () => (await import('../qm/snapshot.ts')).snapshot,
  delsnapshot: async () => (await import('../qm/snapshot.ts')).delsnapshot,
  rollback: async () => (await import('../qm/snapshot.ts')).rollback,
  listsnapshot: async () => (await import('../qm/snapshot.ts')).listsnapshot,
};

export const qm: Tool = (host, argv, io) => runCommands({ tool: 'qm', host, argv, io, verbs: VERBS });
