import { OperationState } from '@pxmgr/contract/common';
import { PxmError, type PxmError as PxmErrorType } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import { throwIfAborted } from '@pxmgr/kit/sync/abort';
import type { JournalReplay } from './journal.ts';
import type { Adopted, OperationStore } from './operation-store.ts';
import { ASKED_AT_ONCE, endOrphans, LEFT_TO_END } from './orphans.ts';
import type { Recovery, RecoveryRule } from './settle.ts';
import type { Work } from './work.ts';

/** Kinds whose left-over programs are asked to stop, because they undo their own work then; others may end. */
const TERMINATED_KINDS: ReadonlySet<string> = new Set(['container.create', 'container.clone', 'image.pull']);

/**
 * Brings every interrupted operation to an end. When it returns its promise all of them hold again what they held, so
 * that the agent may take other orders meanwhile. An operation that had no effect yet is simply undone; one whose rule
 * fails ends as PXM_UNDO_INCOMPLETE and says what is left.
 */
export async function recoverAll(
  store: OperationStore,
  unfinished: readonly JournalReplay[],
  rules: ReadonlyMap<string, RecoveryRule>,
): Promise<void> {
  await Promise.all(
    unfinished.map(async (replay) => {
      try {
        await store.adopt(replay, (adopted) => recoverOne(replay, { store, rules, ...adopted }));
      } catch (error) {
        // One journal that nobody understands must not keep the agent from its other work.
        await store.setAside(replay.operation.id, error);
      }
    }),
  );
}

interface Recovering extends Adopted {
  readonly store: OperationStore;
  readonly rules: ReadonlyMap<string, RecoveryRule>;
}

async function recoverOne(replay: JournalReplay, recovering: Recovering): Promise<void> {
  const { store, rules, work, live, settle } = recovering;
  live.closeOpenSteps('the agent was restarted');
  if (replay.operation.state === OperationState.OPERATION_STATE_QUEUED) {
    live.move(OperationState.OPERATION_STATE_FAILED, { error: interrupted(replay), recovery: 'undone' });
    return;
  }
  if (replay.damagedLines > 0)
    work.warn(`${replay.damagedLines} line(s) of its journal were damaged: look at the guest`);
  await endOrphans(replay.operation.id, {
    clock: store.clock,
    patience: TERMINATED_KINDS.has(replay.operation.kind) ? ASKED_AT_ONCE : LEFT_TO_END,
    onWait: (pids) => {
      work.log(
        'note',
        `a program that the earlier agent had started still runs (process ${pids.join(', ')}): waiting for it`,
      );
    },
    signal: work.signal,
  });
  try {
    const recovery = await work.step('recover', 'finish or undo what the crash interrupted', () =>
      settle((now) => apply(now, work, rules)),
    );
    const { outcome, error } = recovery;
    if (outcome === 'resumed' && error === undefined)
      live.move(OperationState.OPERATION_STATE_DONE, { recovery: outcome });
    else live.move(OperationState.OPERATION_STATE_FAILED, { error: error ?? interrupted(replay), recovery: outcome });
  } catch (error) {
    throwIfAborted(work.signal);
    live.move(OperationState.OPERATION_STATE_FAILED, { error: incomplete(replay, error) });
  }
}

async function apply(replay: JournalReplay, work: Work, rules: ReadonlyMap<string, RecoveryRule>): Promise<Recovery> {
  const rule = rules.get(replay.operation.kind);
  if (rule !== undefined) return await rule(replay, work);
  if (replay.effects.length === 0) return { outcome: 'undone' };
  throw new PxmError('PXM_INTERNAL', {}, { detail: `no recovery rule for ${replay.operation.kind}` });
}

function interrupted(replay: JournalReplay): PxmErrorType {
  return new PxmError('PXM_INTERRUPTED', { operation: replay.operation.id, node: replay.operation.nodeName });
}

function incomplete(replay: JournalReplay, error: unknown): PxmErrorType {
  const cause = toPxmError(error);
  if (cause.code === 'PXM_UNDO_INCOMPLETE') return cause;
  const left = replay.effects.map((effect) => effect.name).join(', ');
  return new PxmError('PXM_UNDO_INCOMPLETE', { operation: replay.operation.id, left }, { cause });
}
