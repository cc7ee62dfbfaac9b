/** `/etc/pve/.vmlist`: every guest of the cluster with its node, type and a version that grows at each write. */
import type { HostPaths } from './paths.ts';

export interface VmlistEntry {
  readonly vmid: number;
  readonly node: string;
  readonly kind: 'container' | 'vm';
  readonly version: number;
}

/** Throws a SyntaxError when it is no JSON. An empty cluster has no `ids` key at all. */
export function parseVmlist(text: string): Map<number, VmlistEntry> {
  const { ids } = JSON.parse(text) as { ids?: Record<string, { node?: string; type?: string; version?: number }> };
  const found = new Map<number, VmlistEntry>();
  for (const [key, row] of Object.entries(ids ?? {})) {
    const vmid = Number(key);
    if (!Number.isInteger(vmid) || (row.type !== 'lxc' && row.type !== 'qemu')) continue;
    const kind = row.type === 'lxc' ? 'container' : 'vm';
    found.set(vmid, { vmid, node: row.node ?? '', kind, version: row.version ?? 0 });
  }
  return found;
}

export function readVmlist(paths: HostPaths): Map<number, VmlistEntry> {
  return parseVmlist(paths.read('/etc/pve/.vmlist'));
}
