/** The guests of this node, cheaply: `.vmlist`, their configuration files, one look at the sockets. No forks. */
import type { HostPaths } from '../host/paths.ts';
import { isAbsent } from '../host/paths.ts';
import type { VmlistEntry } from '../host/vmlist.ts';
import { readVmlist } from '../host/vmlist.ts';
import type { GuestConfig } from './config-file.ts';
import { parseGuestConfig } from './config-file.ts';
import type { RunningGuests, RunState } from './run-state.ts';

export interface GuestRecord {
  readonly vmid: number;
  readonly kind: 'container' | 'vm';
  readonly config: GuestConfig;
  readonly isRunning: boolean;
  /** Seen in the guest's network namespace; empty for VMs. */
  readonly addresses: readonly string[];
}

const FOLDERS = { container: 'lxc', vm: 'qemu-server' } as const;

/** Path of a guest's configuration inside the host. */
export function guestConfigPath(nodeName: string, kind: 'container' | 'vm', vmid: number): string {
  return `/etc/pve/nodes/${nodeName}/${FOLDERS[kind]}/${vmid}.conf`;
}

export class GuestList {
  readonly #paths: HostPaths;
  readonly #nodeName: string;
  readonly #runState: RunState;

  constructor(paths: HostPaths, nodeName: string, runState: RunState) {
    this.#paths = paths;
    this.#nodeName = nodeName;
    this.#runState = runState;
  }

  /** `.vmlist` rows of this node. Throws when pmxcfs does not answer. */
  entries(): VmlistEntry[] {
    return [...readVmlist(this.#paths).guests.values()].filter((entry) => entry.node === this.#nodeName);
  }

  /** Every guest of this node. A guest whose file vanished meanwhile is left out. */
  list(): GuestRecord[] {
    const running = this.#runState.running();
    return this.entries().flatMap((entry) => this.#read(entry.kind, entry.vmid, running) ?? []);
  }

  /** One guest; undefined when this node has none of that id. */
  get(vmid: number): GuestRecord | undefined {
    const running = this.#runState.running();
    return this.#read('container', vmid, running) ?? this.#read('vm', vmid, running);
  }

  #read(kind: 'container' | 'vm', vmid: number, running: RunningGuests): GuestRecord | undefined {
    try {
      const config = parseGuestConfig(this.#paths.read(guestConfigPath(this.#nodeName, kind, vmid)));
      const isRunning = (kind === 'container' ? running.containers : running.vms).has(vmid);
      const addresses = isRunning && kind === 'container' ? this.#runState.addresses(vmid) : [];
      return { vmid, kind, config, isRunning, addresses };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }
}
