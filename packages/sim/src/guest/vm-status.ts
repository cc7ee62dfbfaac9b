/** What a VM's state looks like from outside (qemu-server src/PVE/QemuServer.pm vmstatus). None really runs, so nothing is used. */
import type { Host } from '../host/host.ts';
import { type RunningGuest, runningGuest } from '../host/running.ts';
import { parseSize } from '../text/size.ts';

export function bootDiskBytes(values: ReadonlyMap<string, string>): number {
  const order = /order=([^,\s]+)/.exec(values.get('boot') ?? '')?.[1]?.split(';') ?? [];
  const disk = [...order, ...values.keys()].find(
    (key) => /^(?:scsi|virtio|sata|ide)\d+$/.test(key) && !(values.get(key) ?? '').includes('media=cdrom'),
  );
  const size = /size=([^,]+)/.exec(values.get(disk ?? '') ?? '')?.[1];
  return parseSize(size ?? '') ?? 0;
}

/** `at.node` is where the VM is; `told`: what that node reported last, where it cannot be asked any more. */
export function vmStatusFields(
  at: { node: Host; vmid: number; told?: { readonly running: RunningGuest | undefined } | undefined },
  values: ReadonlyMap<string, string>,
): Record<string, string | number> {
  const { node, vmid } = at;
  const running = at.told === undefined ? runningGuest(node, vmid) : at.told.running;
  const state = running === undefined ? 'stopped' : 'running';
  const cpus = Number(values.get('cores') ?? 1) * Number(values.get('sockets') ?? 1);
  return {
    cpus: Number(values.get('vcpus') ?? Math.min(cpus, node.identity.cores)),
    disk: 0,
    maxdisk: bootDiskBytes(values),
    maxmem: Number(values.get('memory') ?? 512) * 1024 * 1024,
    mem: 0,
    memhost: 0,
    name: values.get('name') ?? `VM ${vmid}`,
    netin: 0,
    netout: 0,
    qmpstatus: state,
    status: state,
    ...marksOf(values),
    ...(running === undefined ? {} : { pid: running.pid }),
    uptime: running === undefined ? 0 : Math.floor((Date.now() - running.since) / 1000),
    vmid,
  };
}

function marksOf(values: ReadonlyMap<string, string>): Record<string, string | number> {
  const marks = [...values].filter(([key]) => key === 'tags' || key === 'lock');
  return { ...Object.fromEntries(marks), ...(values.get('template') === '1' ? { template: 1 } : {}) };
}
