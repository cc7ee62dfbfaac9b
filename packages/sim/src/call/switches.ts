/** Lasting behaviour of one host, all of it off by default: `<root>/.sim/switches.json`. Table in the README. */

import { readJson, writeFileAtomicSync } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';

export interface Switches {
  /** The post-stop hook writes the guest's config back that many ms after it has read it, without the lock; default 0. */
  readonly postStopRewriteMs?: number;
  /** Each tool waits that long at its start (a Perl start costs about 450 ms). */
  readonly startUpMs?: number;
  /** Factor on every time a tool waits for a lock, for quorum or for a guest; default 1. */
  readonly waitScale?: number;
  /** The cluster has no quorum on this node. `cutNode` does this and more. */
  readonly noQuorum?: boolean;
  /** The cluster file system is stopped on this node. `stopPmxcfs` does this and more. */
  readonly noPmxcfs?: boolean;
  /** The other nodes do not know this node's ssh key. */
  readonly noSsh?: boolean;
  /** The status daemon tells nothing of the node itself; the API shows it as `unknown`. Guests and storages it reports. */
  readonly noNodeReport?: boolean;
  /** Nothing outside can be reached: no registry, no name server. */
  readonly noNetwork?: boolean;
  /** The kernel has no ZFS. */
  readonly noZfs?: boolean;
  /** The kernel has no AppArmor, so no mount point and no device can be added to a running guest. */
  readonly noApparmor?: boolean;
  /** Lock files (in-host paths) that a program outside the stand-in holds and never lets go. */
  readonly heldLocks?: readonly string[];
  /** The guests' init needs that long after the halt signal (played runtime). */
  readonly haltMs?: number;
  /** Guests ignore the halt signal (played runtime). */
  readonly ignoreHalt?: readonly number[];
  /** Guests whose init ends at once (played runtime). */
  readonly exitAtStart?: readonly number[];
  /** `storage id` -> free bytes left, whatever the disk really has. 0: full. */
  readonly freeBytes?: Readonly<Record<string, number>>;
  /** `storage id` -> ms that each look at it takes. */
  readonly slowStorages?: Readonly<Record<string, number>>;
  /** Storages that never answer (a dead NFS server); only SIGKILL ends who asked. */
  readonly deadStorages?: readonly string[];
}

export function setSwitches(host: Host, switches: Switches): void {
  writeFileAtomicSync(host.simPath('switches.json'), `${JSON.stringify(switches, undefined, 1)}\n`);
}

export function switchesOf(host: Host): Switches {
  return readJson<Switches>(host.simPath('switches.json')) ?? {};
}

/** Turns some switches and leaves the others as they are. */
export function turnSwitches(host: Host, change: Switches): void {
  setSwitches(host, { ...switchesOf(host), ...change });
}

/** How long a wait of so many ms really is on this host. */
export function scaledWait(host: Host, ms: number): number {
  return Math.round(ms * (switchesOf(host).waitScale ?? 1));
}
