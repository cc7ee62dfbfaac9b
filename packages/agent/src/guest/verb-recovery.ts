import type { Recovery, RecoveryRule } from '../operation/settle.ts';
import type { Work } from '../operation/work.ts';
import { isStub } from './config-file.ts';
import type { GuestKey } from './guest-file.ts';
import { carryOutVerb, type Verb, type VerbRequest } from './lifecycle.ts';
import type { GuestParts } from './parts.ts';
import { undoCreateCommand, unlockCommand } from './pct-args.ts';
import { runDestroy } from './run-destroy.ts';
import { waitForTasks } from './task-wait.ts';

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
    await waitForTasks(parts, vmid, work.signal);
    const isRunning = parts.runState.isRunning(vmid);
    if (verb === 'destroy') return await finishDestroy(parts, { vmid, guestUid, verb, force: true }, work);
    const isThere = parts.files.config(vmid) !== undefined;
    const isReached = verb === 'start' ? isRunning : !isRunning;
    return { outcome: isReached && isThere ? 'resumed' : 'undone' };
  };
}

async function finishDestroy(parts: GuestParts, request: VerbRequest, work: Work): Promise<Recovery> {
  const { vmid, guestUid } = request;
  const config = parts.files.config(vmid);
  if (config === undefined && parts.files.movedTo(request) !== undefined) return { outcome: 'undone' };
  if (config === undefined) await parts.records.forget(guestUid);
  else if (isStub(config)) await removeStub(parts, { ...request, isLocked: config.entries.has('lock') }, work);
  else await carryOutVerb(parts, request, work);
  return { outcome: 'resumed' };
}

/** All that is left of a guest between the removal of its volumes and that of its configuration. */
async function removeStub(
  parts: GuestParts,
  { vmid, guestUid, isLocked }: GuestKey & { readonly isLocked: boolean },
  work: Work,
): Promise<void> {
  parts.cluster.requireQuorum();
  await work.effect({ name: 'container.destroy', data: { vmid: String(vmid), guestUid } }, async () => {
    if (isLocked) await work.run(unlockCommand(vmid));
    await runDestroy(parts, { vmid, command: undoCreateCommand(vmid) }, work);
  });
  await parts.records.forget(guestUid);
}
