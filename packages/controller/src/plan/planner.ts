/**
 * plan/: what shall be done. This file: a wish becomes a reserved plan. Validation, image resolution, then
 * decision, reservation and plan in one synchronous piece of a transaction, so that no two plans get the same thing.
 * Calls schedule, store and the agents through AgentDoor; never carries anything out.
 */
import type { ContainerSpec } from '@pxmgr/contract/common';
import type { Evaluation, PlacementConstraints, Plan } from '@pxmgr/contract/controller';
import type { Clock, IdSource } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { fillDefaults, type PlacementPolicy } from '../domain/placement.ts';
import { type Action, createSteps } from '../domain/plan.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { checkSpec } from '../domain/spec-check.ts';
import type { AgentDoor } from './agent-door.ts';
import { CommitGroup } from './commit-group.ts';
import { type Decision, decide, type Wish } from './decide.ts';
import { FactsLog } from './facts-log.ts';
import { Field } from './field.ts';
import type { Ledger } from './ledger.ts';
import type { Records } from './records.ts';
import { AskOrder, resolveImage } from './resolve-image.ts';
import { showCommands } from './show-commands.ts';
import type { Snapshots } from './snapshots.ts';

export interface PlannerParts {
  readonly records: Records;
  readonly snapshots: Snapshots;
  readonly ledger: Ledger;
  readonly agents: AgentDoor;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly policy: PlacementPolicy;
  /** A plan that is not applied ends after this time, and its reservation with it. */
  readonly planTtlMs: number;
}

export interface ContainerRequest {
  readonly spec: ContainerSpec;
  readonly constraints: PlacementConstraints;
  readonly start: boolean;
  readonly dryRun: boolean;
  readonly showCommands: boolean;
  readonly actor: string;
}

/** A valid wish, and what becomes of it once its place is chosen. */
export interface WishOrder {
  readonly wish: Wish;
  readonly outline: (place: { spec: ContainerSpec; vmid: number; nodeName: string }) => Pick<Plan, 'title' | 'steps'>;
  /** Undefined for a create plan. */
  readonly action: Action | undefined;
  readonly dryRun: boolean;
  readonly showCommands: boolean;
  readonly actor: string;
}

export interface Planned {
  readonly plan: Plan;
  readonly evaluation: Evaluation;
}

export function invalid(problems: readonly string[]): PxmError {
  return new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}

export class Planner {
  readonly #parts: PlannerParts;
  readonly #field: Field;
  readonly #facts: FactsLog;
  readonly #group: CommitGroup;
  readonly #askOrder = new AskOrder();

  constructor(parts: PlannerParts) {
    this.#parts = parts;
    const { records, snapshots, policy } = parts;
    this.#field = new Field({ snapshots, policy, reservations: records.reservations });
    this.#facts = new FactsLog(records.facts, this.#field);
    this.#group = new CommitGroup(records.database, {
      begin: () => {
        this.#facts.begin();
        this.#field.refresh();
      },
      flush: () => {
        this.#facts.flush();
      },
      undone: () => {
        this.#facts.undone();
      },
      lost: () => {
        this.#facts.lost();
      },
    });
  }

  /** Before the database closes. */
  stop(): void {
    this.#group.drain();
  }

  /** Stores the explanation, reserves nothing. Errors: PXM_INPUT_INVALID, PXM_NODE_NOT_FOUND, those of the image. */
  async evaluate(spec: ContainerSpec, constraints: PlacementConstraints): Promise<Evaluation> {
    const wish = await this.#prepare(spec, constraints);
    return await this.#group.run(() => {
      const decision = this.#decide(wish);
      this.#store(decision);
      return decision.evaluation;
    });
  }

  /**
   * Evaluates, reserves and writes the plan; a dry run writes nothing, except the explanation when no node fits.
   * Errors: as `evaluate`, and PXM_PLACEMENT_INFEASIBLE, PXM_VMID_TAKEN, PXM_VMID_EXHAUSTED.
   */
  async planContainer(request: ContainerRequest): Promise<Planned> {
    const wish = await this.#prepare(request.spec, request.constraints);
    return await this.planWish({ ...request, wish, action: undefined, outline: createOutline(request.start) });
  }

  /** As `planContainer`, for a wish that is checked and has all its sizes. */
  async planWish(order: WishOrder): Promise<Planned> {
    const planned = await this.#group.run(() => this.#plan(order));
    if (planned.plan === undefined) throw this.#infeasible(planned.evaluation);
    const { plan: reserved, evaluation } = planned;
    if (!order.showCommands) return { plan: reserved, evaluation };
    const plan = await showCommands(this.#parts.agents, { plan: reserved, action: order.action });
    return { plan, evaluation };
  }

  async #prepare(spec: ContainerSpec, constraints: PlacementConstraints): Promise<Wish> {
    const checked = checkSpec(spec, constraints);
    if (checked.problems.length > 0) throw invalid(checked.problems);
    const { snapshots } = this.#parts;
    for (const key of [constraints.node, ...constraints.excludeNodes]) {
      if (key !== '' && snapshots.node(key) === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    }
    const { source } = checked.spec;
    if (source?.$case !== 'image') return { spec: fillDefaults(checked.spec, this.#parts.policy, []), constraints };
    const resolved = await resolveImage(
      this.#parts.agents,
      this.#askable(constraints, source.value.reference),
      source.value,
    );
    const value = resolved?.image ?? source.value;
    const withImage: ContainerSpec = { ...checked.spec, source: { $case: 'image', value } };
    return { spec: fillDefaults(withImage, this.#parts.policy, resolved?.volumes ?? []), constraints };
  }

  /** Where no node fits the explanation is kept, also of a dry run: it is all the caller gets. */
  #plan(order: WishOrder): Outcome {
    const decision = this.#decide(order.wish);
    const { evaluation, chosen } = decision;
    if (chosen === undefined) {
      this.#store(decision);
      return { evaluation, plan: undefined };
    }
    if (order.dryRun) return { evaluation, plan: this.#sketch({ order, evaluation, chosen }) };
    this.#store(decision);
    return { evaluation, plan: this.#reserve({ order, evaluation, chosen }) };
  }

  /** Nodes that may be asked about the image: the named one, or all. */
  #askable({ node: key }: PlacementConstraints, reference: string): Iterable<NodeSnapshot> {
    const { snapshots } = this.#parts;
    if (key === '') return this.#askOrder.of(reference, snapshots.nodes());
    const node = snapshots.node(key);
    return node === undefined ? [] : [node];
  }

  #infeasible(evaluation: Evaluation): PxmError {
    const { id, spec, summary } = evaluation;
    const taken = takenVmid(evaluation);
    if (taken !== undefined) return taken;
    return new PxmError('PXM_PLACEMENT_INFEASIBLE', { name: spec?.name ?? '', summary, evaluation: id });
  }

  #decide(wish: Wish): Decision {
    const { ledger, ids, clock } = this.#parts;
    return decide({ field: this.#field, ledger }, wish, { id: ids.evaluationId(), at: clock.now() });
  }

  #store({ stored }: Decision): void {
    this.#parts.records.evaluations.insert({ ...stored, facts: this.#facts.mark() }, stored.head.at?.getTime() ?? 0);
  }

  /** As it would be, with a vmid that nobody holds for it. */
  #sketch(context: Context): Plan {
    const { ledger, records, ids } = this.#parts;
    const wanted = context.order.wish.constraints.vmid;
    const token = records.reservations.fence(context.chosen.on.uid);
    const vmid = wanted === 0 ? ledger.freeVmid() : wanted;
    return this.#draft(context, { vmid, token, planId: '', guestUid: ids.guestUid(), reservationId: '' });
  }

  #reserve(context: Context): Plan {
    const { records, ledger, ids, clock, planTtlMs } = this.#parts;
    const { order, chosen } = context;
    const { wish, actor, action } = order;
    const planId = ids.planId();
    const guestUid = ids.guestUid();
    const booked = ledger.book({
      claim: chosen.claim,
      node: chosen.on.node,
      vmid: wish.constraints.vmid,
      guestUid,
      planId,
      actor,
      title: `container ${wish.spec.name}`,
      expiresMs: clock.now().getTime() + planTtlMs,
    });
    const { id: reservationId, vmid, fencingToken: token } = booked;
    const plan = this.#draft(context, { vmid, token, planId, guestUid, reservationId });
    return records.plans.insert({ plan, action }).plan;
  }

  #draft({ order, evaluation, chosen }: Context, numbers: Numbers): Plan {
    const { uid: nodeUid, name: nodeName } = chosen.on.node;
    const { vmid, planId, guestUid, reservationId } = numbers;
    const { title, steps } = order.outline({ spec: chosen.spec, vmid, nodeName });
    const createdAt = this.#parts.clock.now();
    return {
      id: planId,
      generation: 0n,
      createdAt,
      expiresAt: new Date(createdAt.getTime() + this.#parts.planTtlMs),
      title,
      steps,
      nodeUid,
      nodeName,
      vmid,
      guestUid,
      evaluationId: evaluation.id,
      reservationId,
      state: 'draft',
      spec: chosen.spec,
      fencingToken: BigInt(numbers.token),
      actor: order.actor,
    };
  }
}

function createOutline(start: boolean): WishOrder['outline'] {
  return ({ spec, vmid, nodeName }) => ({
    title: `create container ${spec.name} (${vmid}) on ${nodeName}`,
    steps: createSteps({ spec, vmid, nodeName, start }),
  });
}

interface Context {
  readonly order: WishOrder;
  readonly evaluation: Evaluation;
  readonly chosen: NonNullable<Decision['chosen']>;
}

/** Without a plan no node fits. */
interface Outcome {
  readonly evaluation: Evaluation;
  readonly plan: Plan | undefined;
}

interface Numbers {
  readonly vmid: number;
  readonly token: number;
  readonly planId: string;
  readonly guestUid: string;
  readonly reservationId: string;
}

/** The asked vmid is all that stands against a node: then that is the answer, not the placement. */
function takenVmid(evaluation: Evaluation): PxmError | undefined {
  const vmid = evaluation.constraints?.vmid ?? 0;
  if (vmid === 0) return undefined;
  const blocked = evaluation.candidates.find(
    ({ reasons }) => reasons.length > 0 && reasons.every(({ filter }) => filter === 'vmid'),
  );
  const owner = blocked?.reasons[0]?.found;
  if (blocked === undefined || owner === undefined) return undefined;
  return new PxmError('PXM_VMID_TAKEN', { vmid: String(vmid), owner: `${owner} on ${blocked.nodeName}` });
}
