import { OperationState } from '@pxmgr/contract/common';
import { PxmError, type PxmError as PxmErrorType } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import type { JournalReplay } from './journal.ts';
import type { LiveOperation } from './live-operation.ts';
import type { OperationStore } from './operation-store.ts';
import { endOrphans } from './orphans.ts';
import type { Work } from './work.ts';

/** How an operation that a crash interrupted came to its end. */
export type Recovery =
  /** Its goal is reached (it was, or recovery finished the work). */
  | { readonly outcome: 'resumed' }
  /** What it had made is gone; the caller may order it again. */
  | { readonly outcome: 'undone'; readonly error?: PxmErrorType };

/** Finishes or undoes one interrupted operation of a kind. Must be repeatable: the agent may die in it too. */
export type RecoveryRule = (replay: JournalReplay, work: Work) => Promise<Recovery>;

/** Kinds whose left-over programs are asked to stop, because they undo their own work then; others may end. */
const TERMINATED_KINDS: ReadonlySet<string> = new Set(['container.create', 'image.pull']);

/**
 * Brings every interrupted operation to an end, oldest first, before new work is accepted. An operation that had no
 * effect yet is simply undone; one whose rule fails ends as PXM_UNDO_INCOMPLETE and says what is left.
 */
export async function recoverAll(
  store: OperationStore,
  unfinished: readonly JournalReplay[],
  rules: ReadonlyMap<string, RecoveryRule>,
): Promise<void> {
  for (const replay of unfinished) {
    try {
      await store.adopt(replay, (work, live) => recoverOne(replay, { store, rules, work, live }));
    } catch (error) {
      // One journal that nobody understands must not keep the agent from its other work.
      await store.setAside(replay.operation.id, error);
    }
  }
}

interface Recovering {
  readonly store: OperationStore;
  readonly rules: ReadonlyMap<string, RecoveryRule>;
  readonly work: Work;
  readonly live: LiveOperation;
}

async function recoverOne(replay: JournalReplay, { store, rules, work, live }: Recovering): Promise<void> {
  live.closeOpenSteps('the agent was restarted');
  if (replay.operation.state === OperationState.OPERATION_STATE_QUEUED) {
    live.move(OperationState.OPERATION_STATE_FAILED, { error: interrupted(replay), recovery: 'undone' });
    return;
  }
  if (replay.damagedLines > 0)
    work.warn(`${replay.damagedLines} line(s) of its journal were damaged: look at the guest`);
  const terminate = TERMINATED_KINDS.has(replay.operation.kind);
  await endOrphans(replay.operation.id, { clock: store.clock, terminate });
  try {
    const recovery = await work.step('recover', 'finish or undo what the crash interrupted', () =>
      apply(replay, work, rules),
    );
    if (recovery.outcome === 'resumed') live.move(OperationState.OPERATION_STATE_DONE, { recovery: 'resumed' });
    else {
      const error = recovery.error ?? interrupted(replay);
      live.move(OperationState.OPERATION_STATE_FAILED, { error, recovery: 'undone' });
    }
  } catch (error) {
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
