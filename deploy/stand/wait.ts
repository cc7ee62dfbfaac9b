/** Wait for a state with a limit; nothing here ever sleeps for a guessed time. */
import { systemClock } from '@pxmgr/kit/clock';

const POLL_MS = 25;

/** The first value that is not undefined. Throws with `what` when the limit is reached. */
export async function waitFor<T>(
  what: string,
  limitMs: number,
  look: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = systemClock.monotonicMs() + limitMs;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (systemClock.monotonicMs() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await systemClock.sleep(POLL_MS);
  }
}
