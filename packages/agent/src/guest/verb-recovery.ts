import { Readiness } from '@pxmgr/contract/common';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { beganAt } from '../operation/journal.ts';
import type { Recovery, RecoveryRule } from '../operation/settle.ts';
import type { Work } from '../operation/work.ts';
import { type GuestConfig, guestUidOf, isStub } from './config-file.ts';
import type { GuestKey } from './guest-file.ts';
import { endOfHalt, type Halting, stillRuns, waitForUnit } from './halt.ts';
import { carryOutVerb, type Verb, type VerbRequest } from './lifecycle.ts';
import type { GuestParts } from './parts.ts';
import { destroyCommand, unlockCommand } from './pct-args.ts';
import { waitReady } from './readiness.ts';
import { runDestroy } from './run-destroy.ts';
import { requireNoTask, waitForTasks } from './task-wait.ts';

/** What is stored with the journal of a verb. */
export interface VerbParams {
  readonly vmid: number;
  readonly guestUid: string;
  /** Of a start: as JSON. Absent in the journals of older agents. */
  readonly readiness?: unknown;
  /** Of a shutdown. Absent in the journals of older agents. */
  readonly timeoutSeconds?: number;
}

/**
 * A verb that the agent did not live to end: its goal decides. A killed start may have started the guest all the same, a
 * guest that was told to go down may still do so; a destroy that was under way is finished, because half of its volumes may be gone.
 */
export function verbRecovery(parts: GuestParts, verb: Verb): RecoveryRule {
  return async (replay, work) => {
    const params = replay.params as VerbParams;
    const { vmid, guestUid, readiness } = params;
    if (replay.effects.length === 0) return { outcome: 'undone' };
    work.result('vmid', String(vmid));
    await waitForTasks(parts, vmid, work.signal);
    if (verb === 'destroy') {
      // Whoever ordered it without force found it stopped.
      const force = replay.effects.some(({ name }) => name === 'container.stop');
      return await finishDestroy(parts, { vmid, guestUid, verb, force }, work);
    }
    if (verb !== 'start') return await finishHalt(parts, { ...params, verb, since: beganAt(replay.operation) }, work);
    const isThere = isMeant(parts.files.config(vmid), guestUid);
    // A start whose pct is gone goes on as a unit of systemd.
    await parts.runState.waitSettled(vmid, work.signal);
    if (!isThere || !parts.runState.isRunning(vmid)) return { outcome: 'undone' };
    return await finishStart(parts, { vmid, readiness }, work);
  };
}

async function finishHalt(parts: GuestParts, halting: Halting, work: Work): Promise<Recovery> {
  const { vmid, guestUid, verb } = halting;
  const end = await endOfHalt(parts, halting, work);
  if (!isMeant(parts.files.config(vmid), guestUid)) return { outcome: 'undone' };
  if (end === 'down') {
    await waitForUnit(parts, vmid, work);
    return { outcome: 'resumed' };
  }
  // Nobody can take it back, and nobody may give the guest up for running: it ends as a shutdown that takes too long.
  if (end === 'told' && verb === 'shutdown') return { outcome: 'resumed', error: stillRuns(parts, halting) };
  return { outcome: 'undone' };
}

/** A guest that runs is no guest that is ready. */
async function finishStart(
  parts: GuestParts,
  { vmid, readiness }: Pick<VerbParams, 'vmid' | 'readiness'>,
  work: Work,
): Promise<Recovery> {
  try {
    const wanted = readiness === undefined ? undefined : Readiness.fromJSON(readiness);
    await waitReady(parts, vmid, { readiness: wanted, work });
    return { outcome: 'resumed' };
  } catch (error) {
    if (isPxmError(error, 'PXM_NOT_READY') || isPxmError(error, 'PXM_START_FAILED'))
      return { outcome: 'resumed', error };
    throw error;
  }
}

function isMeant(config: GuestConfig | undefined, guestUid: string): boolean {
  return config !== undefined && (guestUid === '' || guestUidOf(config) === guestUid);
}

async function finishDestroy(parts: GuestParts, request: VerbRequest, work: Work): Promise<Recovery> {
  const { vmid, guestUid } = request;
  await requireNoTask(parts, vmid, work.signal);
  const config = parts.files.config(vmid);
  if (config === undefined && parts.files.movedTo(request) !== undefined) return { outcome: 'undone' };
  if (config === undefined || isAnothers(config, guestUid)) await parts.records.forget(guestUid);
  else if (isStub(config)) await removeStub(parts, { ...request, isLocked: config.entries.has('lock') }, work);
  // Somebody has started it since: it is whole, and in use.
  else if (request.force !== true && parts.runState.isRunning(vmid)) return { outcome: 'undone' };
  else await carryOutVerb(parts, request, work);
  return { outcome: 'resumed' };
}

/** Its id has been given anew: a destroy leaves `lock: destroyed` of a guest, or nothing once a recovery has unlocked it. */
function isAnothers(config: GuestConfig, guestUid: string): boolean {
  return isStub(config) ? config.entries.get('lock') === 'create' : !isMeant(config, guestUid);
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
    // With all that the order would have purged: of a guest that HA knows pct removes not even that without it.
    await runDestroy(parts, { vmid, command: destroyCommand(vmid) }, work);
  });
  await parts.records.forget(guestUid);
}
