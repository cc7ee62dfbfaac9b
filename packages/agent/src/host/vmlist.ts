/** `/etc/pve/.vmlist`: every guest of the cluster with its node, type and a version that grows at each write. */
import { parseVmid } from '@pxmgr/contract';
import type { HostPaths } from './paths.ts';

export interface VmlistEntry {
  readonly vmid: number;
  readonly node: string;
  readonly kind: 'container' | 'vm';
  readonly version: number;
}

/** Throws a SyntaxError when it is no JSON. An empty cluster has no `ids` key at all. */
export function parseVmlist(text: string): Map<number, VmlistEntry> {
  const { ids } = (JSON.parse(text) ?? {}) as { ids?: unknown };
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
  return found;
}

export function readVmlist(paths: HostPaths): Map<number, VmlistEntry> {
  return parseVmlist(paths.read('/etc/pve/.vmlist'));
}
