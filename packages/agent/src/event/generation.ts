/** The agent's start counter. Positions of messages compare by it first, so it must never go back. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { diskError } from '@pxmgr/kit/error/disk-error';
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
 * More than at the last start, and at least the Unix time in seconds: a counter that was lost, or came back from an
 * older copy of the state directory, is then still ahead of what it was. On disk, synced, when this returns. Errors:
 * PXM_DISK_FULL, PXM_DISK_FAILED.
 */
export function nextGeneration(path: string, now: Date): bigint {
  const after = (stored(path) ?? 0n) + 1n;
  const seconds = BigInt(Math.floor(now.getTime() / 1000));
  const next = after > seconds ? after : seconds;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    replace(path, `${next}\n`);
  } catch (error) {
    throw diskError(error, path) ?? error;
  }
  return next;
}

function replace(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
