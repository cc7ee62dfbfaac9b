/**
 * One stand-in Proxmox VE node: a directory shaped like a node's file system. `host.path('/etc/pve/...')` is where an
 * in-host path lies on this machine; everything the tools know they read from there, so several processes may work on
 * one host at the same time. Hosts that share `clusterDir` form one cluster: guest ids are unique over all of them.
 * The stand-in's own records live in `<root>/.sim` (identity, faults, played processes) and `<clusterDir>/.sim`.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readJson } from '../file/sim-file.ts';
import { parseStorageCfg, type Storage } from '../text/storage-cfg.ts';

export type RuntimeKind = 'played' | 'lxc';

export interface HostSpec {
  readonly name: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Sections of storage.cfg; none given: only the implicit `local`. Ignored when the cluster already has a file. */
  readonly storages?: readonly Storage[];
  /** Directory shared by the nodes of one cluster; none given: a standalone node. */
  readonly clusterDir?: string;
  readonly clusterName?: string;
  /** Everything random (MAC addresses, start times) follows from it; default: the name. */
  readonly seed?: string;
  readonly runtime?: RuntimeKind;
  readonly ip?: string;
  readonly bridges?: readonly string[];
  readonly cpuModel?: string;
  /** pve-container level, default 6.1.10 (PVE 9.2). */
  readonly containerLevel?: string;
  /** Start of its cluster file system, UNIX seconds; default: now. */
  readonly startTime?: number;
  /** As `zfs version` tells it, default that of PVE 9. */
  readonly zfsVersion?: string;
}

/** `<root>/.sim/host.json`. */
export interface HostIdentity {
  readonly name: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly clusterDir: string;
  readonly clusterName?: string;
  readonly seed: string;
  readonly runtime: RuntimeKind;
  readonly ip: string;
  readonly bridges: readonly string[];
  readonly cpuModel: string;
  readonly containerLevel: string;
  readonly zfsVersion: string;
  /** Start time of the cluster file system on this node, UNIX seconds. */
  readonly startTime: number;
}

export class Host {
  readonly root: string;
  readonly identity: HostIdentity;
  /** Where the files of /etc/pve that all nodes see really lie. */
  readonly sharedDir: string;
  #draws = 0;

  private constructor(root: string, identity: HostIdentity) {
    this.root = root;
    this.identity = identity;
    this.sharedDir = identity.clusterDir === '' ? join(root, '.sim', 'cluster') : identity.clusterDir;
  }

  /** What this node sees of it: a node that is cut off goes on with what it had. */
  get clusterDir(): string {
    return this.isCutOff ? this.simPath('cut-off') : this.sharedDir;
  }

  /** Whether it has lost the others, noticed or not. */
  get isCutOff(): boolean {
    return existsSync(this.simPath('cut-off'));
  }

  get name(): string {
    return this.identity.name;
  }

  get runtime(): RuntimeKind {
    return this.identity.runtime;
  }

  static open(root: string): Host {
    const identity = readJson<HostIdentity>(join(root, '.sim', 'host.json'));
    if (identity === undefined) throw new Error(`${root} holds no stand-in host`);
    return new Host(realpathSync(root), identity);
  }

  /** Where an absolute in-host path lies on this machine. */
  path(inHost: string): string {
    return join(this.root, inHost);
  }

  /** The stand-in's own record of that name. */
  simPath(...names: readonly string[]): string {
    return join(this.root, '.sim', ...names);
  }

  /** A path on this machine as the node itself would write it. */
  inHost(real: string): string {
    return `/${relative(this.root, real)}`;
  }

  /** A file that all nodes of the cluster see: `storage.cfg`, `nodes/pve1/lxc/100.conf`. */
  clusterPath(...names: readonly string[]): string {
    return join(this.clusterDir, ...names);
  }

  storages(): Storage[] {
    const file = this.clusterPath('storage.cfg');
    return parseStorageCfg(existsSync(file) ? readFileSync(file, 'utf8') : undefined);
  }

  /** `bytes` bytes that follow from the seed, the purpose and the number of draws so far in this process. */
  draw(purpose: string, bytes: number): Buffer {
    this.#draws += 1;
    return createHash('sha256').update(`${this.identity.seed}\0${purpose}\0${this.#draws}`).digest().subarray(0, bytes);
  }
}
