/** `/etc/pve/.vmlist`: every guest of the cluster with its node, type and a version that grows at each write. */
import { parseVmid } from '@pxmgr/contract';
import type { HostPaths } from './paths.ts';

export interface VmlistEntry {
  readonly vmid: number;
  readonly node: string;
  readonly kind: 'container' | 'vm';
  readonly version: number;
}

export interface Vmlist {
  /** The `vmlist` counter of `.version` at the moment this list was made. */
  readonly version: number;
  readonly guests: ReadonlyMap<number, VmlistEntry>;
}

/** Throws a SyntaxError when it is no JSON. An empty cluster has no `ids` key at all. */
export function parseVmlist(text: string): Vmlist {
  const { ids, version: listVersion } = (JSON.parse(text) ?? {}) as { ids?: unknown; version?: unknown };
  const found = new Map<number, VmlistEntry>();
  for (const [key, row] of Object.entries(ids ?? {})) {
    const vmid = parseVmid(key);
    const { type, node, version } = (row ?? {}) as Record<string, unknown>;
    if (!vmid.ok || (type !== 'lxc' && type !== 'qemu')) continue;
    found.set(vmid.value, {
      vmid: vmid.value,
      node: typeof node === 'string' ? node : '',
      kind: type === 'lxc' ? 'container' : 'vm',
      version: typeof version === 'number' ? version : 0,
    });
  }
  return { version: typeof listVersion === 'number' ? listVersion : 0, guests: found };
}

export function readVmlist(paths: HostPaths): Vmlist {
  return parseVmlist(paths.read('/etc/pve/.vmlist'));
}
