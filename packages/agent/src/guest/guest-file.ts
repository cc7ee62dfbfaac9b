import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import { Cluster } from '../host/cluster.ts';
import type { HostPaths } from '../host/paths.ts';
import { readVmlist } from '../host/vmlist.ts';
import { type GuestConfig, guestUidOf, parseGuestConfig } from './config-file.ts';
import { guestConfigPath } from './guest-list.ts';

/** Which guest, and who it has to be. */
export interface GuestKey {
  readonly vmid: number;
  /** Empty = do not check; destroy needs it. */
  readonly guestUid: string;
}

/** The configuration files of this node's containers, and the checks that come before every verb. */
export class GuestFiles {
  readonly #paths: HostPaths;
  readonly #cluster: Cluster;
  readonly node: string;

  constructor(paths: HostPaths, node: string) {
    this.#paths = paths;
    this.#cluster = new Cluster(paths, node);
    this.node = node;
  }

  path(vmid: number): string {
    return guestConfigPath(this.node, 'container', vmid);
  }

  /**
   * Undefined when there is no such container. Only where the cluster file system is mounted can that be told. Errors:
   * PXM_NO_QUORUM, instead of an absence that nobody can be sure of.
   */
  text(vmid: number): string | undefined {
    const text = this.#paths.readIfThere(this.path(vmid));
    if (text !== undefined) return text;
    this.#cluster.requireFiles();
    return this.#paths.readIfThere(this.path(vmid));
  }

  /** As `text`. */
  config(vmid: number): GuestConfig | undefined {
    const text = this.text(vmid);
    return text === undefined ? undefined : parseGuestConfig(text);
  }

  /** What its tools keep off others with; undefined: nothing, or no container. Errors: as `text`. */
  lock(vmid: number): string | undefined {
    return this.config(vmid)?.entries.get('lock');
  }

  /** PXM_GUEST_NOT_FOUND; PXM_GUEST_MOVED when another node of the cluster has it; PXM_GUEST_FOREIGN when a uid is named and another guest has the vmid now. */
  require(vmid: number, uid: string): GuestConfig {
    const config = this.config(vmid);
    if (config === undefined) this.requireNotMoved({ vmid, guestUid: uid });
    if (config === undefined)
      throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: String(vmid), where: ` on ${this.node}` });
    const found = guestUidOf(config) ?? '';
    if (uid !== '' && found !== uid) {
      throw new PxmError('PXM_GUEST_FOREIGN', {
        vmid: String(vmid),
        node: this.node,
        expected: uid,
        found: found === '' ? 'none' : found,
      });
    }
    return config;
  }

  /** The other node of the cluster that has the guest now, and the guest as it is there. Without a uid, whatever container has its vmid is taken for it. */
  moved({ vmid, guestUid }: GuestKey): { readonly node: string; readonly config: GuestConfig } | undefined {
    const entry = readVmlist(this.#paths).guests.get(vmid);
    if (entry === undefined || entry.kind !== 'container' || entry.node === this.node) return undefined;
    const text = this.#paths.readIfThere(guestConfigPath(entry.node, 'container', vmid));
    if (text === undefined) return undefined;
    const config = parseGuestConfig(text);
    return guestUid === '' || guestUidOf(config) === guestUid ? { node: entry.node, config } : undefined;
  }

  movedTo(guest: GuestKey): string | undefined {
    return this.moved(guest)?.node;
  }

  /** PXM_GUEST_MOVED. That the guest is not here is no proof that it is destroyed, or stopped. */
  requireNotMoved(guest: GuestKey, cause?: unknown): void {
    const target = this.movedTo(guest);
    if (target === undefined) return;
    throw new PxmError('PXM_GUEST_MOVED', { vmid: String(guest.vmid), node: this.node, target }, { cause });
  }

  /** Runs it; that the guest was moved meanwhile is why it failed, whatever the tools said of it. Errors: PXM_GUEST_MOVED, its own. */
  async whileHere(guest: GuestKey, body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } catch (error) {
      if (!isPxmError(error, 'PXM_CANCELLED')) this.requireNotMoved(guest, error);
      throw error;
    }
  }

  /** PXM_GUEST_LOCKED. `mounted` does not hinder starting and stopping. */
  requireUnlocked(vmid: number, config: GuestConfig, allowed: readonly string[] = []): void {
    const lock = config.entries.get('lock');
    if (lock !== undefined && !allowed.includes(lock)) {
      throw new PxmError('PXM_GUEST_LOCKED', { vmid: String(vmid), node: this.node, lock });
    }
  }

  /**
   * PXM_VMID_TAKEN. Only a look: what reserves an id is the configuration file that pct makes, and pmxcfs refuses a
   * second one on any node of the cluster.
   */
  requireFree(vmid: number): void {
    const entry = readVmlist(this.#paths).guests.get(vmid);
    const isHere = this.text(vmid) !== undefined;
    if (entry === undefined && !isHere) return;
    throw new PxmError('PXM_VMID_TAKEN', {
      vmid: String(vmid),
      owner: `a ${entry?.kind ?? 'container'} on ${entry?.node ?? this.node}`,
    });
  }
}
