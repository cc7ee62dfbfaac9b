/** `qm` (qemu-server src/PVE/CLI/qm.pm): what reads is here, what changes is in qm/. */

import type { Tool } from '../call/tool.ts';
import { readCluster, syncCluster } from '../cluster/pmxcfs.ts';
import { bootDiskBytes, vmStatusFields } from '../guest/vm-status.ts';
import type { Host } from '../host/host.ts';
import { runningGuest } from '../host/running.ts';
import { flag, type Verb, type VerbHandler } from '../pct/context.ts';
import { loadVm } from '../qm/vm.ts';
import { encodeText } from '../text/code.ts';
import { runCommands } from './run-commands.ts';

function ownVms(host: Host): number[] {
  syncCluster(host);
  const guests = Object.entries(readCluster(host).guests);
  return guests
    .filter(([, guest]) => guest.type === 'qemu' && guest.node === host.name)
    .map(([vmid]) => Number(vmid))
    .sort((a, b) => a - b);
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
      runningGuest(verb.host, vmid) === undefined ? 'stopped' : 'running',
      values.get('memory') ?? '512',
      (bootDiskBytes(values) / 1024 ** 3).toFixed(2),
      String(runningGuest(verb.host, vmid)?.pid ?? 0),
    ];
    verb.io.out(line(row));
  }
  return 0;
};

const status: VerbHandler = async (verb: Verb) => {
  const fields = vmStatusFields({ node: verb.host, vmid: verb.vmid }, loadVm(verb.host, verb.vmid).values);
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
  clone: async () => (await import('../qm/clone.ts')).clone,
  template: async () => (await import('../qm/disk.ts')).template,
  'disk resize': async () => (await import('../qm/disk.ts')).resize,
  set: async () => (await import('../qm/set.ts')).set,
  pending: async () => (await import('../qm/change.ts')).pending,
  unlock: async () => (await import('../qm/change.ts')).unlock,
  destroy: async () => (await import('../qm/change.ts')).destroy,
  start: async () => (await import('../qm/power.ts')).start,
  stop: async () => (await import('../qm/power.ts')).stop,
  shutdown: async () => (await import('../qm/power.ts')).shutdown,
  reboot: async () => (await import('../qm/power.ts')).reboot,
  reset: async () => (await import('../qm/power.ts')).reset,
  suspend: async () => (await import('../qm/power.ts')).suspend,
  resume: async () => (await import('../qm/power.ts')).resume,
  migrate: async () => (await import('../qm/migrate.ts')).migrate,
  'guest cmd': async () => (await import('../qm/reach.ts')).agent,
  'guest exec': async () => (await import('../qm/reach.ts')).agent,
  'guest exec-status': async () => (await import('../qm/reach.ts')).agent,
  'disk move': async () => (await import('../qm/move.ts')).moveDisk,
  terminal: async () => (await import('../qm/reach.ts')).terminal,
  sendkey: async () => (await import('../qm/reach.ts')).sendkey,
  wait: async () => (await import('../qm/reach.ts')).wait,
  'disk unlink': async () => (await import('../qm/set.ts')).unlink,
  snapshot: async () => (await import('../qm/snapshot.ts')).snapshot,
  delsnapshot: async () => (await import('../qm/snapshot.ts')).delsnapshot,
  rollback: async () => (await import('../qm/snapshot.ts')).rollback,
  listsnapshot: async () => (await import('../qm/snapshot.ts')).listsnapshot,
};

export const qm: Tool = (host, argv, io) => runCommands({ tool: 'qm', host, argv, io, verbs: VERBS });
