/** What the three hosts have: storages, pools, datasets, cards. The difference between them is what placement is about. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { LOCAL_ZFS } from '@pxmgr/sim/fleet/plan';
import { addGpu, addUsb, CORAL } from '@pxmgr/sim/host/devices';
import type { HostSpec, RuntimeKind } from '@pxmgr/sim/host/host';
import { canRunLxc } from '@pxmgr/sim/lxc/can-run';
import { createPool } from '@pxmgr/sim/pool/pools';
import { IMPLICIT_LOCAL } from '@pxmgr/sim/text/storage-cfg';
import type { NodeProcess } from '../stand/node.ts';

const GIB = 1024 ** 3;
const TIB = 1024 * GIB;

/** Three standalone hosts. */
export const HOSTS: readonly Omit<HostSpec, 'runtime'>[] = [
  { name: 'pve1', cores: 8, memoryBytes: 32 * GIB, ip: '192.0.2.1', storages: [IMPLICIT_LOCAL] },
  { name: 'pve2', cores: 16, memoryBytes: 64 * GIB, ip: '192.0.2.2', storages: [IMPLICIT_LOCAL, LOCAL_ZFS] },
  { name: 'pve3', cores: 8, memoryBytes: 16 * GIB, ip: '192.0.2.3', storages: [IMPLICIT_LOCAL] },
];

export interface Runtime {
  readonly kind: RuntimeKind;
  /** Why containers are only played; empty when they really run. */
  readonly reason: string;
}

/** Really started containers where the machine can, states only where it cannot. */
export async function runtimeHere(): Promise<Runtime> {
  const { ok, reason } = await canRunLxc();
  return ok ? { kind: 'lxc', reason: '' } : { kind: 'played', reason };
}

/** A played guest is running as soon as it is said to be, and nothing in it ever answers. */
export function probeOf(runtime: Runtime): string {
  return runtime.kind === 'lxc' ? 'http:8080/' : 'running';
}

/** pve1: an NVIDIA card. pve2: an AMD card, a pool with a media dataset. pve3: Intel graphics and a USB stick. */
export async function furnish(node: NodeProcess): Promise<void> {
  const { host } = node;
  if (host.runtime === 'played') {
    mkdirSync(host.path('/etc/pxmgr'), { recursive: true });
    writeFileSync(host.path('/etc/pxmgr/notes'), 'played: guests are not really started on this stand-in host\n');
  }
  switch (node.name) {
    case 'pve1':
      await addGpu(host, { kind: 'nvidia', address: '0000:01:00.0' });
      break;
    case 'pve2':
      await addGpu(host, { kind: 'amd', address: '0000:03:00.0' });
      createPool(host, { name: 'tank', sizeBytes: 8 * TIB });
      await node.tool('zfs', 'create', 'tank/guests');
      await node.tool('zfs', 'create', 'tank/media');
      writeFileSync(host.path('/tank/media/film.txt'), 'a film, if you like\n');
      break;
    default:
      await addGpu(host, { kind: 'intel', address: '0000:00:02.0' });
      await addUsb(host, CORAL);
  }
}
