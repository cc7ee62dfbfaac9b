/** Processes of this machine as proc(5) shows them: what an earlier process of ours has left is found by its words. */
import { readdirSync, readFileSync } from 'node:fs';

export function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Its environment or its command line; empty for one that has ended, that is not ours to read, and for a kernel thread. */
export function processWords(pid: number, file: 'environ' | 'cmdline'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    // Gone already, or not ours to read: then it is none of ours.
    return [];
  }
}

export function signalProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended in this moment.
  }
}
