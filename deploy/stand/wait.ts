/** Wait for a state with a limit; nothing here ever sleeps for a guessed time. */
import { systemClock } from '@pxmgr/kit/clock';

const POLL_MS = 25;

/** The first value that is not undefined. Throws with `what` when the limit is reached. */
export async function waitFor<T>(
  what: string,
  limitMs: number,
  look: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const value = await lookUntil(limitMs, look, (found) => found !== undefined);
  if (value === undefined) throw new Error(`${what}: not within ${limitMs} ms`);
  return value;
}

/** What `look` still finds at the limit; nothing as soon as it finds nothing. */
export async function lasting(limitMs: number, look: () => Promise<string[]> | string[]): Promise<string[]> {
  return await lookUntil(limitMs, look, (found) => found.length === 0);
}

/** The first that is enough, or what there is at the limit. */
async function lookUntil<T>(limitMs: number, look: () => Promise<T> | T, isEnough: (found: T) => boolean): Promise<T> {
  const end = systemClock.monotonicMs() + limitMs;
  for (;;) {
    const found = await look();
    if (isEnough(found) || systemClock.monotonicMs() > end) return found;
    await systemClock.sleep(POLL_MS);
  }
}
