import { readFileSync } from 'node:fs';
import type { Clock } from '@pxmgr/kit/clock';
import type { Child } from './journal.ts';

/**
 * Programs that outlived a killed agent. They run in sessions of their own, so nothing ended them; one that has not
 * printed yet does not even know that nobody reads. Always this machine's own /proc: a stand-in host's tools are
 * ordinary processes too.
 */
const POLL_MS = 50;
/** What pct needs to undo a create when it is asked to stop. */
const TERM_LIMIT_MS = 60_000;
/** What shutdown and destroy may take when they are left to end. */
const WAIT_LIMIT_MS = 300_000;

/** Empty when there is no such process. */
export function startTimeOf(pid: number): string {
  return statOf(pid)?.startTime ?? '';
}

/** What to record about a program we have just started; empty start time when it is not our child. */
export function childOf(pid: number): Child {
  const stat = statOf(pid);
  return { pid, startTime: stat?.parent === process.pid ? stat.startTime : '' };
}

/** Fields 4 and 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold blanks and brackets. */
function statOf(pid: number): { parent: number; startTime: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { parent: Number(fields[1]), startTime: fields[19] ?? '' };
  } catch {
    // Gone already.
    return undefined;
  }
}

/** Waits until they have ended; with `terminate` it asks them to (SIGTERM, and SIGKILL when they do not listen). */
export async function endOrphans(
  children: readonly Child[],
  options: { clock: Clock; terminate: boolean },
): Promise<void> {
  const { clock, terminate } = options;
  const start = clock.monotonicMs();
  const alive = (): Child[] =>
    children.filter(({ pid, startTime }) => startTime !== '' && startTimeOf(pid) === startTime);
  if (terminate) signal(alive(), 'SIGTERM');
  while (alive().length > 0) {
    const elapsed = clock.monotonicMs() - start;
    if (terminate && elapsed > TERM_LIMIT_MS) signal(alive(), 'SIGKILL');
    if (elapsed > WAIT_LIMIT_MS) return;
    await clock.sleep(POLL_MS);
  }
}

function signal(children: readonly Child[], name: 'SIGTERM' | 'SIGKILL'): void {
  for (const { pid } of children) {
    try {
      process.kill(pid, name);
    } catch {
      // Ended in this moment.
    }
  }
}
