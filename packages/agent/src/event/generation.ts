/** The agent's start counter. Positions of messages compare by it first, so it must never go back. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isAbsent } from '../host/paths.ts';

function stored(path: string): bigint | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return /^[0-9]{1,18}$/.test(text) ? BigInt(text) : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/**
 * One more than the last start; on disk, synced, when this returns. Without a readable counter it begins at the Unix
 * time in seconds: a counter that was lost together with the state directory is then still ahead of what it was.
 */
export function nextGeneration(path: string, now: Date): bigint {
  const before = stored(path);
  const next = before === undefined ? BigInt(Math.floor(now.getTime() / 1000)) : before + 1n;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, `${next}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  return next;
}
