/**
 * Which releases can make sense of the state folder. The number grows when an older agent would misread, drop or overwrite
 * what a newer one has written: then it does not start at all, and nothing is changed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { isAbsent } from './host/paths.ts';

const STATE_FORMAT = 1;

/** Before anything else is read. PXM_STATE_NEWER. */
export function requireKnownFormat(stateDir: string): void {
  const found = formatOf(stateDir);
  if (found !== undefined && found > STATE_FORMAT)
    throw new PxmError('PXM_STATE_NEWER', { path: stateDir, found: String(found), known: String(STATE_FORMAT) });
}

/** From now on it is written by this release; only by the agent that holds the lock. */
export async function markFormat(stateDir: string): Promise<void> {
  if (formatOf(stateDir) === STATE_FORMAT) return;
  await writeFileAtomic(join(stateDir, 'format'), `${String(STATE_FORMAT)}\n`, { mode: 0o600 });
}

/** Undefined where nothing tells it: a new folder, one of an agent before the first number, a damaged file. */
function formatOf(stateDir: string): number | undefined {
  try {
    const text = readFileSync(join(stateDir, 'format'), 'utf8').trim();
    return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
