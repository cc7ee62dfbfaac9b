/**
 * Does a guest run, and what does it look like from outside: command sockets, cgroups, and the network files of its
 * first process. No forks.
 */

import type { Vmid } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import { addressesOf, listeningPortsOf } from '../host/addresses.ts';
import type { HostPaths } from '../host/paths.ts';

export interface RunningGuests {
  readonly containers: ReadonlySet<number>;
  readonly vms: ReadonlySet<number>;
}

const CONTAINER_SOCKET = /@\/var\/lib\/lxc\/([0-9]+)\/command$/gm;
const VM_SOCKET = / (?:\/var)?\/run\/qemu-server\/([0-9]+)\.qmp$/gm;
const POLL_MS = 20;
const DOWN_LIMIT_MS = 30_000;

function ids(text: string, pattern: RegExp): Set<number> {
  return new Set([...text.matchAll(pattern)].map((match) => Number(match[1])));
}

/** `/proc/net/unix`: LXC's command socket lives exactly as long as the container's monitor. */
export function parseRunning(text: string): RunningGuests {
  return { containers: ids(text, CONTAINER_SOCKET), vms: ids(text, VM_SOCKET) };
}

export class RunState {
  readonly #paths: HostPaths;
  readonly #clock: Clock;

  constructor(paths: HostPaths, clock: Clock) {
    this.#paths = paths;
    this.#clock = clock;
  }

  /** One read for all guests of the node. */
  running(): RunningGuests {
    return parseRunning(this.#paths.readIfThere('/proc/net/unix') ?? '');
  }

  isRunning(vmid: Vmid | number): boolean {
    return this.running().containers.has(vmid);
  }

  /** First process of a running container; undefined when it has none. */
  initPid(vmid: Vmid | number): number | undefined {
    const pids = this.#pids(vmid);
    return pids.find((pid) => this.#isInit(pid)) ?? pids[0];
  }

  /**
   * cgroup v2 keeps processes in `lxc/ID/ns` (and systemd moves its own into `init.scope`); v1 has one tree per
   * controller with `lxc/ID` in each.
   */
  #pids(vmid: number): number[] {
    const base = `/sys/fs/cgroup/lxc/${vmid}`;
    const places = [`${base}/ns`, base, `${base}/ns/init.scope`, `${base}/init.scope`];
    for (const place of places) {
      const pids = this.#procs(place);
      if (pids.length > 0) return pids;
    }
    for (const controller of this.#paths.list('/sys/fs/cgroup')) {
      const pids = this.#procs(`/sys/fs/cgroup/${controller}/lxc/${vmid}`);
      if (pids.length > 0) return pids;
    }
    return [];
  }

  #procs(cgroup: string): number[] {
    const text = this.#paths.readIfThere(`${cgroup}/cgroup.procs`) ?? '';
    return text
      .split('\n')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid > 0);
  }

  /** Process 1 of its own pid namespace. */
  #isInit(pid: number): boolean {
    const status =
      this.#paths.attribute(`/proc/${pid}/status`) === undefined ? '' : this.#paths.read(`/proc/${pid}/status`);
    return /^NSpid:.*\s1$/m.test(status);
  }

  /** Addresses with prefix length in the guest's network namespace, loopback and link-local left out. */
  addresses(vmid: Vmid | number): string[] {
    const pid = this.initPid(vmid);
    return pid === undefined ? [] : addressesOf(this.#paths, `/proc/${pid}/net`).map((found) => found.cidr);
  }

  /** TCP ports on which somebody in the guest listens, sorted. */
  listeningPorts(vmid: Vmid | number): number[] {
    const pid = this.initPid(vmid);
    return pid === undefined ? [] : listeningPortsOf(this.#paths, `/proc/${pid}/net`);
  }

  /**
   * Really down: command socket gone and the unit's cgroup gone. Between the two, Proxmox's post-stop hook rewrites
   * the guest's configuration without its lock; an edit or a start in that time is lost.
   */
  isDown(vmid: Vmid | number): boolean {
    const slice = '/sys/fs/cgroup/system.slice/system-pve\\x2dcontainer.slice';
    const units = ['', 'systemd/', 'unified/'].flatMap((tree) => [
      `${slice.replace('/sys/fs/cgroup/', `/sys/fs/cgroup/${tree}`)}/pve-container@${vmid}.service`,
      `${slice.replace('/sys/fs/cgroup/', `/sys/fs/cgroup/${tree}`).replace('container.slice', 'container\\x2ddebug.slice')}/pve-container-debug@${vmid}.service`,
    ]);
    return !this.isRunning(vmid) && !units.some((unit) => this.#paths.exists(unit));
  }

  /** Waits until the container runs or is really down, at most 30 s. */
  async waitSettled(vmid: Vmid | number, signal: AbortSignal): Promise<void> {
    const start = this.#clock.monotonicMs();
    while (!this.isRunning(vmid) && !this.isDown(vmid) && this.#clock.monotonicMs() - start < DOWN_LIMIT_MS)
      await this.#clock.sleep(POLL_MS, signal);
  }

  /** Waits until the container is really down; false when it was not within `limitMs` (default 30 s). */
  async waitDown(vmid: Vmid | number, signal?: AbortSignal, limitMs = DOWN_LIMIT_MS): Promise<boolean> {
    const start = this.#clock.monotonicMs();
    while (!this.isDown(vmid)) {
      if (this.#clock.monotonicMs() - start >= limitMs) return false;
      await this.#clock.sleep(POLL_MS, signal);
    }
    return true;
  }
}
