/** One operation from where it stands to its end: steps forward, or, after a failure or a cancel, back. */
import { OperationState, type Problem } from '@pxmgr/contract/common';
import type { PlanStep } from '@pxmgr/contract/controller';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import { fromProblem, toProblem } from '@pxmgr/kit/error/to-problem';
import { expectationOf, makingStep, type PlanRecord } from '../domain/plan.ts';
import type { Ledger } from '../plan/ledger.ts';
import { orderOf } from '../plan/order.ts';
import { changesGuest, issueOf, mayReissue, undoOf } from '../plan/steps.ts';
import { carryOut } from './agent-step.ts';
import { confirm, isShown } from './confirm.ts';
import { goesOnLater, type RunContext } from './run-context.ts';
import { undoPlan } from './saga.ts';

/** The guest is there and stays, maybe on another node: destroying it would help nobody. */
const KEEPS: ReadonlySet<string> = new Set(['PXM_NOT_READY', 'PXM_CONFIRM_TIMEOUT', 'PXM_GUEST_MOVED']);

export class Run {
  readonly #context: RunContext;
  readonly #record: PlanRecord;
  readonly #ledger: Ledger;

  constructor(context: RunContext, record: PlanRecord, ledger: Ledger) {
    this.#context = context;
    this.#record = record;
    this.#ledger = ledger;
  }

  /** Resolves when the operation has ended. Rejects with the reason of `stop`, or for want of room; may then be run again. */
  async drive(): Promise<void> {
    const { log, records } = this.#context;
    const { id } = log.operation;
    if (log.state === 'queued') log.move('running');
    const isUndoing = records.operations.get(id)?.phase === 'undo';
    const problem = isUndoing ? log.operation.problem : await this.#forward();
    if (problem === undefined) {
      this.#succeed();
      return;
    }
    if (!isUndoing && KEEPS.has(problem.code)) {
      this.#keep(problem);
      return;
    }
    await this.#back(problem);
  }

  /** Undefined when all steps are done. */
  async #forward(): Promise<Problem | undefined> {
    const { log, records, clock, limits, plan } = this.#context;
    for (const step of plan.steps) {
      if (log.step(step.index).state === OperationState.OPERATION_STATE_DONE) continue;
      records.database.unsynced(() => {
        records.reservations.extend(plan.reservationId, clock.now().getTime() + limits.holdMs);
      });
      try {
        this.#requireWanted();
        log.moveStep(step.index, 'running');
        await this.#step(step);
        log.moveStep(step.index, 'done', { detail: '' });
      } catch (error) {
        if (goesOnLater(this.#context, error)) throw error;
        this.#heedFence(error);
        const problem = toProblem(this.#context.cancel.aborted ? this.#cancelled(error) : error);
        log.moveStep(step.index, this.#context.cancel.aborted ? 'cancelled' : 'failed', { detail: problem.message });
        return problem;
      }
    }
    return undefined;
  }

  /**
   * The node has seen a newer token than this controller knows: its database was restored from an older state. This
   * plan is lost, but the next one must come through.
   */
  #heedFence(error: unknown): void {
    if (!isPxmError(error, 'PXM_GENERATION_OLD')) return;
    const seen = /token (\d+)/.exec(error.fields['seen'] ?? '')?.[1];
    if (seen !== undefined) this.#context.records.reservations.raiseFence(this.#context.plan.nodeUid, Number(seen));
  }

  #requireWanted(): void {
    if (this.#context.cancel.aborted) throw this.#cancelled(undefined);
  }

  /** A failure of its own while a cancel was under way stays visible as the cause. */
  #cancelled(cause: unknown): PxmError {
    const what = this.#context.log.operation.title;
    return isPxmError(cause, 'PXM_CANCELLED')
      ? cause
      : new PxmError('PXM_CANCELLED', { what }, cause === undefined ? {} : { cause });
  }

  async #step(step: PlanStep): Promise<void> {
    const { agents, plan } = this.#context;
    const issue = issueOf(step);
    if (issue === undefined) {
      await this.#ownStep(step);
      return;
    }
    const ended = await carryOut(this.#context, {
      step: step.index,
      way: 'forward',
      mustKnow: changesGuest(step),
      outlastsCut: this.#hasMadeGuest(),
      mayReissue: mayReissue(step) || this.#hasMadeGuest(),
      issue: (attempt) => issue(agents, this.#record, orderOf(plan, step.index, { way: 'forward', attempt })),
    });
    if (ended.state === OperationState.OPERATION_STATE_DONE) return;
    if (ended.problem !== undefined) throw fromProblem(ended.problem);
    throw new PxmError('PXM_CANCELLED', { what: ended.title });
  }

  async #ownStep(step: PlanStep): Promise<void> {
    const { log, plan } = this.#context;
    if (step.kind === 'inventory.confirm') {
      const { isObserved } = await confirm(this.#context, step.index);
      if (!isObserved) log.note(step.index, 'the agent confirms it; the inventory does not show it yet', 'warning');
      return;
    }
    if (step.kind !== 'reservation.release') throw new Error(`unknown step ${step.kind}`);
    if (isShown(this.#context)) this.#ledger.settle(plan);
    else log.note(step.index, 'the reservation stays until the inventory shows the guest', 'warning');
  }

  #succeed(): void {
    const { log, records, plan } = this.#context;
    records.database.transaction(() => {
      if (expectationOf(plan) === 'gone' && plan.guestUid !== '') records.reservations.forgetGuest(plan.guestUid);
      records.plans.move(plan.id, 'applied', 'done');
      log.move('done');
    });
  }

  #keep(problem: Problem): void {
    const { log, records, plan } = this.#context;
    records.database.transaction(() => {
      if (plan.reservationId !== '' && problem.code === 'PXM_GUEST_MOVED')
        this.#ledger.release(plan.reservationId, 'its guest was moved to another node');
      else if (plan.reservationId !== '' && isShown(this.#context)) this.#ledger.settle(plan);
      records.plans.move(plan.id, 'applied', 'failed');
      log.move('failed', {
        problem,
        warnings: plan.reservationId === '' ? [] : [`container ${plan.vmid} was left as it is`],
      });
    });
  }

  async #back(problem: Problem): Promise<void> {
    const { log, records } = this.#context;
    const { id } = log.operation;
    records.database.transaction(() => {
      records.operations.setPhase(id, 'undo');
      log.move('running', { problem });
    });
    const { left } = await undoPlan(this.#context, this.#record);
    const agentLeft = problem.code === 'PXM_UNDO_INCOMPLETE' ? [problem.fields['left'] ?? problem.message] : [];
    this.#fail(problem, [...agentLeft, ...left]);
  }

  #fail(problem: Problem, left: readonly string[]): void {
    const { log, records, plan, clock } = this.#context;
    const isCancel = problem.code === 'PXM_CANCELLED';
    const wasMade = this.#mayHaveMade();
    records.database.transaction(() => {
      if (wasMade && !isCancel) records.vmids.markFailed(plan.vmid, clock.now().getTime());
      if (plan.reservationId !== '' && left.length === 0) {
        this.#ledger.release(plan.reservationId, isCancel ? 'cancelled, undone' : 'plan failed, undone');
      }
      records.plans.move(plan.id, 'applied', left.length === 0 && !this.#hasChangedForGood() ? 'undone' : 'failed');
      log.move(isCancel && left.length === 0 ? 'cancelled' : 'failed', {
        problem: left.length === 0 ? problem : this.#incomplete(problem, left),
        warnings: left.map((what) => `still there: ${what}`),
      });
    });
  }

  #hasMadeGuest(): boolean {
    const step = makingStep(this.#context.plan);
    return step !== undefined && this.#context.log.step(step.index).state === OperationState.OPERATION_STATE_DONE;
  }

  /** A guest that was there before: what is done to it and has no undo stays. */
  #hasChangedForGood(): boolean {
    const { plan, log } = this.#context;
    const isDone = ({ index }: PlanStep): boolean => log.step(index).state === OperationState.OPERATION_STATE_DONE;
    const kept = plan.steps.filter((step) => issueOf(step) !== undefined && undoOf(step, this.#record) === undefined);
    return makingStep(plan) === undefined && kept.some((step) => changesGuest(step) && isDone(step));
  }

  #mayHaveMade(): boolean {
    const { log, plan, records } = this.#context;
    const step = makingStep(plan);
    return step !== undefined && records.operations.step(log.operation.id, step.index, 'forward') !== undefined;
  }

  #incomplete(problem: Problem, left: readonly string[]): Problem {
    const { id } = this.#context.log.operation;
    const cause = fromProblem(problem);
    return toProblem(new PxmError('PXM_UNDO_INCOMPLETE', { operation: id, left: left.join('; ') }, { cause }));
  }
}
