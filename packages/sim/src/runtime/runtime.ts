/**
 * How a container of this stand-in "runs". Two answers to one interface: `played` (played.ts) keeps only
 * states and starts no process; `lxc` (lxc.ts) starts the container with the system's own LXC.
 * The runtime starts and ends processes and publishes the running state (running.ts); it never reads or writes the
 * guest's config file, takes no locks and prints nothing but through `log`.
 */

import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import type { GuestConfig } from '../text/guest-config.ts';

/** One directory that must be visible in the guest. */
export interface GuestMount {
  /** `rootfs` or `mpN`. */
  readonly key: string;
  /** Directory on the machine that runs the stand-in. */
  readonly source: string;
  /** Path in the guest, always absolute. */
  readonly target: string;
  readonly readOnly: boolean;
}

export interface StartContext {
  readonly host: Host;
  readonly vmid: number;
  /** Main section after pending values were applied. */
  readonly config: GuestConfig;
  /** Directory with the root file system, then the mount points in the order of their number. */
  readonly rootfs: string;
  readonly mounts: readonly GuestMount[];
  readonly unprivileged: boolean;
  /** One line (or several) of task output. */
  readonly log: (text: string) => void;
  readonly signal: AbortSignal;
}

/** `error` is the task's error text (pve-container src/PVE/LXC.pm: "startup for container 'N' failed" and others). */
export type StartResult = { readonly ok: true; readonly pid: number } | { readonly ok: false; readonly error: string };

export interface ExecRequest {
  readonly argv: readonly string[];
  /** false gives exactly PATH, container=lxc and TERM=linux. */
  readonly keepEnv: boolean;
  /** `NAME=value` items added to the environment (lxc-attach --set-var). */
  readonly setVars?: readonly string[];
  /** Ids inside the guest, default root. */
  readonly uid?: number;
  readonly gid?: number;
  readonly io: ToolIo;
}

export interface GuestRuntime {
  readonly kind: 'played' | 'lxc';
  start(context: StartContext): Promise<StartResult>;
  /** Ends the guest abruptly; a guest that does not run is not an error. Resolves when socket and cgroup are gone. */
  stop(host: Host, vmid: number, log: (text: string) => void): Promise<void>;
  /** Sends the halt signal and waits. false: still running after the time. */
  shutdown(
    host: Host,
    vmid: number,
    options: { timeoutMs: number; log: (text: string) => void; signal: AbortSignal },
  ): Promise<boolean>;
  /** The exit status of the command, 128+n for a signal, 127/126 as lxc-attach gives them. */
  exec(host: Host, vmid: number, request: ExecRequest): Promise<number>;
  isRunning(host: Host, vmid: number): Promise<boolean>;
}
