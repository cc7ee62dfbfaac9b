import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Clock } from '@pxmgr/kit/clock';
import { OPERATION_VARIABLE, PROGRAM_VARIABLE } from '@pxmgr/kit/exec/command';

/**
 * Programs that outlived a killed agent. They run in sessions of their own, so nothing ended them; one that has not
 * printed yet does not even know that nobody reads. They are found by the mark in their environment, not by a record:
 * between the start of a program and the record of it the agent may die. Always this machine's own /proc: a stand-in
 * host's tools are ordinary processes too.
 */
const POLL_MS = 100;
/** What pct needs to undo a create when it is asked to stop. */
const TERM_LIMIT_MS = 60_000;
/** What shutdown and destroy may take when they are left to end. */
const WAIT_LIMIT_MS = 300_000;

/**
 * Waits until the programs of an operation have ended; with `terminate` it asks them to (SIGTERM, and SIGKILL when they
 * do not listen). Children of those are theirs to end, and a worker of Proxmox is followed as a task.
 */
export async function endOrphans(
  operationId: string,
  { clock, terminate }: { clock: Clock; terminate: boolean },
): Promise<void> {
  const start = clock.monotonicMs();
  const asked = new Set<number>();
  for (;;) {
    const alive = programsOf(operationId);
    const elapsed = clock.monotonicMs() - start;
    if (alive.length === 0 || elapsed > WAIT_LIMIT_MS) return;
    if (terminate) {
      for (const pid of alive.filter((one) => !asked.has(one))) signal(pid, 'SIGTERM');
      for (const pid of alive) asked.add(pid);
      if (elapsed > TERM_LIMIT_MS) for (const pid of alive) signal(pid, 'SIGKILL');
    }
    await clock.sleep(POLL_MS);
  }
}

/** Running programs that an operation started itself. */
export function programsOf(operationId: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isProgramOf(pid, operationId));
}

/** A program that pct left behind, a DHCP client for one, has inherited the mark but goes by another name. */
function isProgramOf(pid: number, operationId: string): boolean {
  const environment = wordsOf(pid, 'environ');
  if (!environment.includes(`${OPERATION_VARIABLE}=${operationId}`)) return false;
  const program = environment
    .find((word) => word.startsWith(`${PROGRAM_VARIABLE}=`))
    ?.slice(PROGRAM_VARIABLE.length + 1);
  return wordsOf(pid, 'cmdline').some((word) => basename(word) === program);
}

/** Empty for one that has ended, and for a zombie. */
function wordsOf(pid: number, file: 'environ' | 'cmdline'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    // Gone already, or not ours to read: then it is none of ours.
    return [];
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // Ended in this moment.
  }
}
