/**
 * A tool is one program of a Proxmox VE node (`pct`, `pvesm`, `zfs`, ...) as a function: argv in, exit status out.
 * Tools own no state: everything they change lies below the host's directory, so two processes that run tools on one
 * host see each other. They never touch process.stdout, process.env or process.exit; the doors in `door/` do.
 */
import type { Host } from '../host/host.ts';

/** What a tool may use of the process around it. */
export interface ToolIo {
  /** Bytes the caller sends; ends at once when nothing is connected. */
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly out: (data: string | Uint8Array) => void;
  readonly err: (data: string | Uint8Array) => void;
  /** Waits until the reader has taken what was written; none where output is collected. */
  readonly flush?: () => Promise<void>;
  /** Aborted by SIGTERM, SIGINT or SIGQUIT: a task cleans up and ends with "received interrupt". */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Who calls; default: root. Only ZFS asks, since everything else of a node is root's. */
  readonly uid?: number;
  /** Hears of every task that starts. */
  readonly onTask?: (upid: string) => void;
  /** A daemon calls in the name of that user; tasks then write to their log alone. */
  readonly daemonUser?: string;
  /** Process id that tasks of this call carry; default: this process. The in-process door gives each call its own. */
  readonly worker?: { readonly pid: number; readonly startTicks: number };
  /** Sudden death where the process must live on: locks are let go at the signal, and nothing else is cleaned up. */
  readonly death?: { readonly signal: AbortSignal; readonly die: () => void };
}

/** argv holds the arguments only, without the program name. Resolves to the exit status. */
export type Tool = (host: Host, argv: readonly string[], io: ToolIo) => Promise<number>;

/** A failure whose text goes to stderr as it is; `status` is what the program exits with. */
export class ToolError extends Error {
  readonly status: number;
  constructor(message: string, status = 255) {
    super(message);
    this.name = 'ToolError';
    this.status = status;
  }
}

/** The text of a thrown value, with one final line feed at most removed, as upstream prints it. */
export function errorText(err: unknown): string {
  return (err instanceof Error ? err.message : String(err)).replace(/\n$/, '');
}
