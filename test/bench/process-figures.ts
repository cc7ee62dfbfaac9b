import { readFileSync } from 'node:fs';

/** Resident memory of a process in MB, as the kernel counts it. */
export function residentMb(pid: number): number {
  const text = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) * 1024) / 1e6;
}

const TICKS_PER_SECOND = 100;

/** CPU seconds so far, user and system. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  // The name in parentheses may hold blanks; utime and stime are the 12th and 13th after it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
