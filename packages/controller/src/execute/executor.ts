/**
 * execute/: plans carried out. This file starts them and carries their operations to an end; after a restart it goes on
 * with those that had none. Decides nothing: what to order and what to reserve is in the plan.
 */
import { setMaxListeners } from 'node:events';
import { hasEnded } from '@pxmgr/contract';
import type { Operation } from '@pxmgr/contract/common';
import type { Plan } from '@pxmgr/contract/controller';
import type { Clock, IdSource } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { FleetView } from '../domain/fleet-view.ts';
import type { GuestSummary } from '../domain/guest.ts';
import type { NodeState } from '../domain/node-state.ts';
import { makingStep, type PlanRecord } from '../domain/plan.ts';
import { requireUp } from '../plan/action-planner.ts';
import type { AgentDoor } from '../plan/agent-door.ts';
import type { Ledger } from '../plan/ledger.ts';
import type { Records } from '../plan/records.ts';
import { takenDevice } from '../plan/taken-device.ts';
import { isRefusedByDisk } from '../store/open.ts';
import { newOperation, OperationLog } from './operation-log.ts';
import { Run } from './run.ts';
import type { ExecuteLimits, RunContext } from './run-context.ts';
import type { WatchHub } from './watch-hub.ts';

export interface ExecutorParts {
  readonly records: Records;
  readonly view: FleetView;
  readonly ledger: Ledger;
  readonly agents: AgentDoor;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly limits: ExecuteLimits;
  readonly logger: Logger;
}

interface Active {
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

interface Prepared {
  readonly run: Run;
  readonly log: OperationLog;
}

/** How often is tried whether there is room again. */
const ROOM_POLL_MS = 2_000;

export class Executor {
  readonly #parts: ExecutorParts;
  readonly #active = new Map<string, Active>();
  readonly #stop = new AbortController();

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    // One listener for each running operation; Node would warn of a leak from the eleventh on.
    setMaxListeners(0, this.#stop.signal);
  }

  /** Goes on with every operation that has not ended. */
  start(): void {
    for (const id of this.#parts.records.operations.open()) this.#drive(id);
  }

  /** Leaves running operations as they are, to be gone on with at the next start. */
  async stop(): Promise<void> {
    this.#stop.abort(new PxmError('PXM_SHUTTING_DOWN', { program: 'pxmgr-controller' }));
    await Promise.all([...this.#active.values()].map((active) => active.done));
  }

  get activeCount(): number {
    return this.#active.size;
  }

  /**
   * Starts the plan; when it returns the operation is durable. A second call gets the running operation. Errors:
   * PXM_PLAN_NOT_FOUND, PXM_PLAN_NOT_OPEN, PXM_PLAN_STALE, PXM_NODE_DOWN, PXM_NODE_NOT_FOUND, PXM_SHUTTING_DOWN.
   */
  apply(planId: string): Operation {
    if (this.#stop.signal.aborted) throw new PxmError('PXM_SHUTTING_DOWN', { program: 'pxmgr-controller' });
    const { records, clock, ids } = this.#parts;
    const record = records.plans.get(planId);
    if (record === undefined) throw new PxmError('PXM_PLAN_NOT_FOUND', { plan: planId });
    const running = record.plan.state === 'applied' ? records.operations.byPlan(planId) : undefined;
    if (running !== undefined) return running.operation;
    this.#requireOpen(record.plan);
    try {
      this.#requireFresh(record.plan);
    } catch (error) {
      this.#abandon(record.plan);
      throw error;
    }
    const operation = newOperation(record.plan, ids.operationId(), clock.now());
    records.database.transaction(() => {
      if (!records.plans.move(planId, 'draft', 'applied'))
        throw new PxmError('PXM_PLAN_NOT_OPEN', { plan: planId, state: 'applied' });
      records.reservations.extend(record.plan.reservationId, clock.now().getTime() + this.#parts.limits.holdMs);
      records.operations.insert(operation, 'queued');
      records.operations.append({
        operationId: operation.id,
        at: clock.now(),
        step: 0,
        event: { $case: 'operation', value: operation },
      });
    });
    this.#drive(operation.id);
    return operation;
  }

  /** Errors: PXM_OPERATION_NOT_FOUND, PXM_OPERATION_ENDED. */
  cancel(id: string, actor: string): Operation {
    const { records } = this.#parts;
    const record = records.operations.get(id);
    if (record === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
    if (hasEnded(record.state)) throw new PxmError('PXM_OPERATION_ENDED', { operation: id, state: record.state });
    records.operations.requestCancel(id, actor);
    this.#active.get(id)?.cancel.abort(new PxmError('PXM_CANCELLED', { what: record.operation.title }));
    return record.operation;
  }

  /** Resolves when the operation is no longer driven by this process. */
  async settled(id: string): Promise<void> {
    await this.#active.get(id)?.done;
  }

  #requireOpen(plan: Plan): void {
    const isLate = plan.state === 'draft' && (plan.expiresAt?.getTime() ?? 0) <= this.#parts.clock.now().getTime();
    const state = isLate ? 'expired' : plan.state;
    if (state !== 'draft') throw new PxmError('PXM_PLAN_NOT_OPEN', { plan: plan.id, state });
  }

  /** The world may have moved since the plan was made. */
  #requireFresh(plan: Plan): void {
    const { view, records } = this.#parts;
    const node = view.node(plan.nodeUid);
    if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: plan.nodeName });
    requireUp(node);
    if (plan.reservationId === '') return;
    const stale = (reason: string): PxmError => new PxmError('PXM_PLAN_STALE', { plan: plan.id, reason });
    const reservation = records.reservations.get(plan.reservationId);
    if (reservation?.state !== 'active') throw stale('its reservation has ended');
    const taker = this.#taker(plan, node);
    if (taker !== undefined) throw stale(`vmid ${plan.vmid} is now ${taker.kind} ${taker.name} on ${taker.nodeName}`);
    const taken = takenDevice(view, reservation);
    if (taken !== undefined) throw stale(taken);
  }

  /** Who else has the plan's vmid by now; a plan for a guest that exists finds that guest under it. */
  #taker(plan: Plan, node: NodeState): GuestSummary | undefined {
    const { view } = this.#parts;
    const cluster = node.document?.cluster ?? '';
    const taker = view.guestsByVmid(plan.vmid).find((guest) => {
      const other = view.node(guest.nodeUid)?.document?.cluster ?? '';
      return guest.nodeUid === plan.nodeUid || (cluster !== '' && other === cluster);
    });
    const isMeant = taker?.nodeUid === plan.nodeUid && taker.guestUid === plan.guestUid;
    return isMeant && makingStep(plan) === undefined ? undefined : taker;
  }

  /** A plan that was refused is not tried again: what it holds is free for others at once. */
  #abandon({ id, reservationId }: Plan): void {
    const { records, clock } = this.#parts;
    records.database.transaction(() => {
      if (!records.plans.move(id, 'draft', 'expired')) return;
      const atMs = clock.now().getTime();
      records.reservations.end(reservationId, { state: 'expired', reason: 'plan refused', atMs, settle: false });
    });
  }

  #drive(id: string): void {
    if (this.#active.has(id) || this.#stop.signal.aborted) return;
    const cancel = new AbortController();
    const run = this.#prepare(id, cancel);
    const done = this.#watchOver(run, () => this.#prepare(id, cancel)).finally(() => this.#active.delete(id));
    this.#active.set(id, { cancel, done });
  }

  #prepare(id: string, cancel: AbortController): Prepared {
    const { records } = this.#parts;
    const operation = records.operations.get(id);
    const plan = operation === undefined ? undefined : records.plans.get(operation.operation.planId);
    if (operation === undefined || plan === undefined) throw new Error(`operation ${id} has no plan`);
    if (operation.cancelActor !== '') cancel.abort(new PxmError('PXM_CANCELLED', { what: operation.operation.title }));
    const log = new OperationLog(this.#parts, operation.operation, operation.state);
    return { log, run: new Run(this.#context(plan, log, cancel.signal), plan, this.#parts.ledger) };
  }

  /** Where the disk did not take a change, memory is ahead of the rows: it goes on from what `again` reads in them. */
  async #watchOver(first: Prepared, again: () => Prepared): Promise<void> {
    const { log } = first;
    const logger = this.#parts.logger.child({ op: log.operation.id, plan: log.operation.planId });
    // Lets the caller of apply get its answer before the first step.
    await Promise.resolve();
    logger.info({ title: log.operation.title }, 'operation begins');
    try {
      for (let next: Prepared | undefined = first; next !== undefined; )
        next = (await this.#endsFor(next, logger)) ? undefined : again();
    } catch (error) {
      if (this.#stop.signal.aborted) logger.info('operation is left for the next start');
      else logger.error({ err: error }, 'operation was abandoned by a defect; it goes on at the next start');
    }
  }

  /** False after a while, when the disk took nothing. */
  async #endsFor({ run, log }: Prepared, logger: Logger): Promise<boolean> {
    try {
      await run.drive();
      logger.info({ state: log.state, code: log.operation.problem?.code }, 'operation ended');
      return true;
    } catch (error) {
      if (!isRefusedByDisk(this.#parts.records.database, error)) throw error;
      logger.error({ err: error }, 'operation waits for the disk');
      await this.#parts.clock.sleep(ROOM_POLL_MS, this.#stop.signal);
      return false;
    }
  }

  #context({ plan, action }: PlanRecord, log: OperationLog, cancel: AbortSignal): RunContext {
    const { records, agents, view, clock, limits } = this.#parts;
    const cancelActor = (): string => records.operations.get(log.operation.id)?.cancelActor ?? '';
    return { plan, action, log, records, agents, view, clock, limits, stop: this.#stop.signal, cancel, cancelActor };
  }
}
