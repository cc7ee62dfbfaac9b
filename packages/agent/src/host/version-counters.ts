/**
 * `/etc/pve/.version`: counters that tell what changed (proxmox/pve-cluster src/pmxcfs/status.c). They belong to one
 * run of pmxcfs on this node: after a restart they begin anew, so only "differs" means anything, never "greater".
 */
import type { HostPaths } from './paths.ts';

export interface VersionCounters {
  /** Start of pmxcfs; another value means that every other counter lost its meaning. */
  readonly startTime: number;
  /** Cluster membership and quorum. */
  readonly clusterInfo: number;
  readonly vmlist: number;
  readonly storageCfg: number;
  /** Tasks of this node. */
  readonly taskList: number;
}

function counter(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Throws a SyntaxError when pmxcfs gave something that is no JSON. */
export function parseVersionCounters(text: string, nodeName: string): VersionCounters {
  const all = record(JSON.parse(text));
  return {
    startTime: counter(all['starttime']),
    clusterInfo: counter(all['clinfo']),
    vmlist: counter(all['vmlist']),
    storageCfg: counter(all['storage.cfg']),
    taskList: counter(record(record(all['kvstore'])[nodeName])['tasklist']),
  };
}

/** The raw text: comparing it is cheaper than parsing it. */
export function readVersionText(paths: HostPaths): string {
  return paths.read('/etc/pve/.version');
}
