/** Taking a failed or cancelled plan back: what it made is destroyed, newest first; what cannot be undone is said. */
import { OperationState } from '@pxmgr/contract/common';
import type { PlanStep } from '@pxmgr/contract/controller';
import { fromProblem, toPxmError } from '@pxmgr/kit/error/to-problem';
import type { PlanRecord } from '../domain/plan.ts';
import { orderOf } from '../plan/order.ts';
import { undoOf } from '../plan/steps.ts';
import { carryOut } from './agent-step.ts';
import { goesOnLater, type RunContext } from './run-context.ts';

export interface Undone {
  /** What is still there, for people; empty when the plan left nothing. */
  readonly left: readonly string[];
}

/** Errors only of `stop` and for want of room; the undo goes on later. */
export async function undoPlan(context: RunContext, record: PlanRecord): Promise<Undone> {
  const left: string[] = [];
  for (const step of [...record.plan.steps].reverse()) {
    const rest = await undoStep(context, record, step);
    if (rest !== undefined) left.push(rest);
  }
  return { left };
}

const NOTHING_LEFT: ReadonlySet<string> = new Set([
  'PXM_GUEST_NOT_FOUND',
  'PXM_GUEST_FOREIGN',
  'PXM_DEVICE_NOT_ATTACHED',
]);

async function undoStep(context: RunContext, record: PlanRecord, step: PlanStep): Promise<string | undefined> {
  const { log, records, agents, plan } = context;
  const undo = undoOf(step, record);
  const trace = records.operations.step(log.operation.id, step.index, 'forward');
  // Never sent: nothing to undo. Ended badly: the agent undoes what its own operation made, and says so if it cannot.
  if (undo === undefined || trace === undefined || trace.state === 'failed') return undefined;
  log.note(step.index, `undo: ${undo.title}`);
  const fencingToken = BigInt(records.reservations.nextFence(plan.nodeUid));
  try {
    const ended = await carryOut(context, {
      step: step.index,
      way: 'undo',
      mustKnow: true,
      outlastsCut: true,
      mayReissue: true,
      issue: (attempt) => undo.issue(agents, record, orderOf(plan, step.index, { way: 'undo', attempt, fencingToken })),
    });
    if (ended.state === OperationState.OPERATION_STATE_DONE) return undefined;
    throw ended.problem === undefined ? new Error(`${ended.title} did not end well`) : fromProblem(ended.problem);
  } catch (error) {
    if (goesOnLater(context, error)) throw error;
    // Not there, or not the one made here: either way nothing of this plan is left.
    if (NOTHING_LEFT.has(toPxmError(error).code)) return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    log.note(step.index, `undo failed: ${reason}`, 'warning');
    return trace.state === 'done' ? `${undo.left} (${reason})` : `${undo.left}, if it was made (${reason})`;
  }
}
