/** /etc/pve of one node: a folder with links to what all nodes of its cluster see. */
import { mkdirSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Host } from '../host/host.ts';

export const SHARED_FOLDERS = ['nodes', 'priv', 'firewall', 'ha', 'sdn', 'mapping', 'virtual-guest'] as const;
const SHARED_FILES = ['storage.cfg', 'user.cfg', 'datacenter.cfg', 'jobs.cfg', 'corosync.conf'] as const;

/** Points every link at the cluster directory that this node sees now. */
export function linkPve(host: Host): void {
  const folder = host.path('/etc/pve');
  mkdirSync(folder, { recursive: true });
  for (const name of [...SHARED_FOLDERS, ...SHARED_FILES])
    link(host, name, relative(folder, join(host.clusterDir, name)));
  // As on a node: `local` names this node's folder, the other two its guests (pve-cluster src/pmxcfs/pmxcfs.c).
  link(host, 'local', `nodes/${host.name}`);
  link(host, 'lxc', `nodes/${host.name}/lxc`);
  link(host, 'qemu-server', `nodes/${host.name}/qemu-server`);
}

/** In one step, so that a reader never finds the name missing. */
function link(host: Host, name: string, target: string): void {
  const path = host.path(`/etc/pve/${name}`);
  if (targetOf(path) === target) return;
  const fresh = host.simPath(`link.${name}.${process.pid}`);
  symlinkSync(target, fresh);
  renameSync(fresh, path);
}

function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
