/** Who this node is and whether its cluster is quorate: `/etc/pve/.members` (proxmox/pve-cluster src/pmxcfs/status.c). */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import * as z from 'zod';
import type { HostPaths } from './paths.ts';

const Flag = z.union([z.number(), z.string(), z.boolean()]).transform((value) => Number(value) === 1);

const Members = z.object({
  nodename: z.string().min(1),
  version: z.number().optional(),
  cluster: z.object({ name: z.string(), quorate: Flag, nodes: z.number().optional() }).optional(),
  nodelist: z.record(z.string(), z.object({ id: z.number(), online: Flag, ip: z.string().optional() })).optional(),
});
export type Members = z.infer<typeof Members>;

/** Throws a plain error with the reason when the file is not what pmxcfs writes. */
export function parseMembers(text: string): Members {
  return Members.parse(JSON.parse(text));
}

/** The node's place in its cluster. Every call reads anew: one small file, and quorum must never be remembered. */
export class Cluster {
  readonly #paths: HostPaths;
  readonly #override: string | undefined;

  constructor(paths: HostPaths, nodeNameOverride?: string) {
    this.#paths = paths;
    this.#override = nodeNameOverride === '' ? undefined : nodeNameOverride;
  }

  #members(): Members {
    return parseMembers(this.#paths.read('/etc/pve/.members'));
  }

  /** PVE's name of this node: configured, else `.members`, else the link `/etc/pve/local`, else the host name. */
  nodeName(): string {
    if (this.#override !== undefined) return this.#override;
    try {
      return this.#members().nodename;
    } catch (error) {
      const name = this.#paths.link('/etc/pve/local')?.split('/').pop() ?? this.#paths.attribute('/etc/hostname');
      if (name !== undefined && name !== '') return name.split('.')[0] ?? name;
      throw new PxmError(
        'PXM_CONFIG_INVALID',
        {
          program: 'pxmgr-agent',
          count: '1',
          problems: 'node_name is not set and /etc/pve does not tell it',
        },
        { cause: error },
      );
    }
  }

  /** Empty for a node that is in no cluster. */
  clusterName(): string {
    return this.#members().cluster?.name ?? '';
  }

  /** True when /etc/pve may be written. A standalone node always may; an unreadable file counts as no. */
  quorate(): boolean {
    try {
      const { cluster } = this.#members();
      return cluster === undefined || cluster.quorate;
    } catch {
      // pmxcfs is down: every writing tool fails with exit 111, so nothing may be started.
      return false;
    }
  }

  /** Throws PXM_NO_QUORUM. Call it before any command that writes: `destroy` deletes volumes even without quorum. */
  requireQuorum(): void {
    if (!this.quorate()) throw new PxmError('PXM_NO_QUORUM', { node: this.nodeName() });
  }

  /**
   * Throws PXM_NO_QUORUM when the cluster file system is not mounted: /etc/pve is an empty folder then. Without quorum it
   * is read-only and still shows all that this node has written.
   */
  requireFiles(): void {
    try {
      this.#members();
    } catch (error) {
      throw new PxmError('PXM_NO_QUORUM', { node: this.nodeName() }, { cause: error });
    }
  }

  /** Names of all members, this node included. */
  memberNames(): string[] {
    const members = this.#members();
    return members.nodelist === undefined ? [members.nodename] : Object.keys(members.nodelist).sort();
  }
}
