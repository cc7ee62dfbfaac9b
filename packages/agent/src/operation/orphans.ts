import { basename } from 'node:path';
import type { Clock } from '@pxmgr/kit/clock';
import { OPERATION_VARIABLE, PROGRAM_VARIABLE } from '@pxmgr/kit/exec/command';
import { processIds, processWords, signalProcess } from '@pxmgr/kit/exec/process-table';

/**
 * Programs that outlived a killed agent. They run in sessions of their own, so nothing ended them; one that has not
 * printed yet does not even know that nobody reads. They are found by the mark in their environment, not by a record:
 * between the start of a program and the record of it the agent may die. Always this machine's own /proc: a stand-in
 * host's tools are ordinary processes too.
 */
const POLL_MS = 100;

/** How long a left-over program may go on by itself, and how long it may take to end when it was asked to. */
export interface OrphanPatience {
  readonly leaveMs: number;
  readonly termMs: number;
}

/** One that undoes its own work when it is asked to stop: pct create needs up to a minute for that. */
export const ASKED_AT_ONCE: OrphanPatience = { leaveMs: 0, termMs: 60_000 };
/** Shutdown and destroy are left to end, as long as the agent would have waited for them. */
export const LEFT_TO_END: OrphanPatience = { leaveMs: 300_000, termMs: 60_000 };
/** skopeo has nothing to undo. */
export const NOTHING_TO_UNDO: OrphanPatience = { leaveMs: 0, termMs: 3_000 };
/** SIGKILL does not end what hangs in a dead storage: nothing more can be done about it. */
const KILLED_MS = 5_000;

export interface OrphanParts {
  readonly clock: Clock;
  readonly patience: OrphanPatience;
  /** Told once which programs are waited for. */
  readonly onWait?: (pids: readonly number[]) => void;
  readonly signal?: AbortSignal;
}

/**
 * Waits until the programs of an operation have ended; after `leaveMs` it asks them to (SIGTERM), and after `termMs` more
 * it does not ask any longer (SIGKILL). Children of those are theirs to end, and a worker of Proxmox is followed as a task.
 */
export async function endOrphans(operationId: string, parts: OrphanParts): Promise<void> {
  const { clock, patience } = parts;
  const start = clock.monotonicMs();
  const asked = new Set<number>();
  for (let alive = programsOf(operationId), isTold = false; alive.length > 0; alive = programsOf(operationId)) {
    if (!isTold) parts.onWait?.(alive);
    isTold = true;
    const late = clock.monotonicMs() - start - patience.leaveMs;
    if (late > patience.termMs + KILLED_MS) return;
    if (late > patience.termMs) for (const pid of alive) signalProcess(pid, 'SIGKILL');
    else if (late >= 0) {
      for (const pid of alive.filter((one) => !asked.has(one))) signalProcess(pid, 'SIGTERM');
      for (const pid of alive) asked.add(pid);
    }
    await clock.sleep(POLL_MS, parts.signal);
  }
}

/** Running programs that an operation started itself. */
export function programsOf(operationId: string): number[] {
  return processIds().filter((pid) => isProgramOf(pid, operationId));
}

/** A program that pct left behind, a DHCP client for one, has inherited the mark but goes by another name. */
function isProgramOf(pid: number, operationId: string): boolean {
  const environment = processWords(pid, 'environ');
  if (!environment.includes(`${OPERATION_VARIABLE}=${operationId}`)) return false;
  const program = environment
    .find((word) => word.startsWith(`${PROGRAM_VARIABLE}=`))
    ?.slice(PROGRAM_VARIABLE.length + 1);
  return processWords(pid, 'cmdline').some((word) => basename(word) === program);
}
