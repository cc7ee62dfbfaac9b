import type { RecoveryRule } from '../operation/recover.ts';
import type { Work } from '../operation/work.ts';
import { carryOutVerb, type Verb, type VerbRequest } from './lifecycle.ts';
import type { GuestParts } from './parts.ts';

/** What is stored with the journal of a verb. */
export interface VerbParams {
  readonly vmid: number;
  readonly guestUid: string;
}

/**
 * A verb that the agent did not live to end: its goal decides. A killed start may have started the guest all the same;
 * a destroy that was under way is finished, because half of its volumes may be gone.
 */
export function verbRecovery(parts: GuestParts, verb: Verb): RecoveryRule {
  return async (replay, work) => {
    const { vmid, guestUid } = replay.params as VerbParams;
    if (replay.effects.length === 0) return { outcome: 'undone' };
    await waitForTasks(parts, vmid, work);
    const isRunning = parts.runState.isRunning(vmid);
    const isThere = parts.files.config(vmid) !== undefined;
    if (verb === 'destroy')
      return isThere ? await finishDestroy(parts, { vmid, guestUid, verb, force: true }, work) : { outcome: 'resumed' };
    const isReached = verb === 'start' ? isRunning : !isRunning;
    return { outcome: isReached && isThere ? 'resumed' : 'undone' };
  };
}

async function finishDestroy(parts: GuestParts, request: VerbRequest, work: Work): Promise<{ outcome: 'resumed' }> {
  await carryOutVerb(parts, request, work);
  return { outcome: 'resumed' };
}

const WAIT_MS = 180_000;
const POLL_MS = 250;

/** Until no task works on the guest any more, or the patience is over. */
export async function waitForTasks(parts: GuestParts, vmid: number, work: Work): Promise<void> {
  const start = parts.clock.monotonicMs();
  while ((await parts.tasks.isAnyLive(vmid)) && parts.clock.monotonicMs() - start < WAIT_MS) {
    await parts.clock.sleep(POLL_MS, work.signal);
  }
}
