/**
 * A short lock over the stand-in's own records, for critical sections without any await. The lock file is made by
 * link(2), so it never exists without its owner's pid, and the lock of a process that is gone is taken over.
 */
import { linkSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { readText } from './sim-file.ts';

const PAUSE_MS = 1;
let counter = 0;

export function withSimLock<T>(path: string, section: () => T): T {
  counter += 1;
  const mine = `${path}.${process.pid}.${counter}`;
  writeFileSync(mine, String(process.pid));
  try {
    while (!tryLink(mine, path)) {
      dropIfStale(path);
      pause();
    }
  } finally {
    rmSync(mine, { force: true });
  }
  try {
    return section();
  } finally {
    // The section may have taken the folder away.
    rmSync(path, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw err;
  }
}

function dropIfStale(path: string): void {
  const owner = readText(path);
  if (owner === undefined || isAlive(Number(owner))) return;
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // another process was quicker
  }
  // Between reading and renaming a living process may have taken it: give it back.
  if (readText(aside) !== owner) tryLink(aside, path);
  unlinkSync(aside);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
}
