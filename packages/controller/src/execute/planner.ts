/**
 * execute/: plans and their execution. This file: a wish becomes a reserved plan. Validation, image resolution (the only
 * wait), then decision, reservation and plan in one synchronous transaction, so that no two plans get the same thing.
 * Calls schedule, store and the agents through AgentDoor; never carries anything out.
 */
import type { ContainerSpec } from '@pxmgr/contract/common';
import type { Evaluation, PlacementConstraints, Plan } from '@pxmgr/contract/controller';
import type { Clock, IdSource } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { fillDefaults, type PlacementPolicy } from '../domain/placement.ts';
import { createSteps } from '../domain/plan.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { checkSpec } from '../domain/spec-check.ts';
import { isNamed } from '../schedule/feasible.ts';
import type { AgentDoor } from './agent-door.ts';
import { type Decision, decide, stillFits, type Wish } from './decide.ts';
import type { Ledger } from './ledger.ts';
import type { Records } from './records.ts';
import { resolveImage } from './resolve-image.ts';
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

export interface Planned {
  readonly plan: Plan;
  readonly evaluation: Evaluation;
}

export function invalid(problems: readonly string[]): PxmError {
  return new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}

export class Planner {
  readonly #parts: PlannerParts;

  constructor(parts: PlannerParts) {
    this.#parts = parts;
  }

  /** Stores the explanation, reserves nothing. Errors: PXM_INPUT_INVALID, PXM_NODE_NOT_FOUND, those of the image. */
  async evaluate(spec: ContainerSpec, constraints: PlacementConstraints): Promise<Evaluation> {
    const wish = await this.#prepare(spec, constraints);
    const { evaluation } = this.#decide(wish);
    this.#parts.records.evaluations.insert(evaluation, evaluation.at?.getTime() ?? 0);
    return evaluation;
  }

  /**
   * Evaluates, reserves and writes the plan; a dry run writes nothing, except the explanation when no node fits.
   * Errors: as `evaluate`, and PXM_PLACEMENT_INFEASIBLE, PXM_VMID_EXHAUSTED.
   */
  async planContainer(request: ContainerRequest): Promise<Planned> {
    const wish = await this.#prepare(request.spec, request.constraints);
    const planned = this.#explained(() =>
      request.dryRun ? this.#sketch(wish, request) : this.#reserve(wish, request),
    );
    if (!request.showCommands) return planned;
    const plan = await showCommands(this.#parts.agents, { plan: planned.plan, action: undefined });
    return { ...planned, plan };
  }

  async #prepare(spec: ContainerSpec, constraints: PlacementConstraints): Promise<Wish> {
    const checked = checkSpec(spec, constraints);
    if (checked.problems.length > 0) throw invalid(checked.problems);
    const nodes = this.#parts.snapshots.nodes();
    for (const key of [constraints.node, ...constraints.excludeNodes]) {
      if (key !== '' && !nodes.some((node) => isNamed(node, key)))
        throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    }
    const { source } = checked.spec;
    if (source?.$case !== 'image') return { spec: fillDefaults(checked.spec, this.#parts.policy, []), constraints };
    const resolved = await resolveImage(this.#parts.agents, candidates(nodes, constraints), source.value);
    const value = resolved?.image ?? source.value;
    const withImage: ContainerSpec = { ...checked.spec, source: { $case: 'image', value } };
    return { spec: fillDefaults(withImage, this.#parts.policy, resolved?.volumes ?? []), constraints };
  }

  /** Where no node fits the explanation is kept, also of a dry run: it is all the caller gets. */
  #explained(plan: () => Planned): Planned {
    try {
      return plan();
    } catch (error) {
      if (!(error instanceof Infeasible)) throw error;
      const { id, at, spec, summary } = error.evaluation;
      this.#parts.records.evaluations.insert(error.evaluation, at?.getTime() ?? 0);
      throw new PxmError('PXM_PLACEMENT_INFEASIBLE', { name: spec?.name ?? '', summary, evaluation: id });
    }
  }

  #decide(wish: Wish): Decision {
    return decide(this.#parts, wish, { id: this.#parts.ids.evaluationId(), at: this.#parts.clock.now() });
  }

  /** As it would be, with a vmid that nobody holds for it. */
  #sketch(wish: Wish, request: ContainerRequest): Planned {
    const { ledger, records } = this.#parts;
    const { evaluation, chosen } = this.#chosen(wish);
    const wanted = wish.constraints.vmid;
    const token = records.reservations.fence(chosen.on.uid);
    const vmid = wanted === 0 ? ledger.freeVmid() : wanted;
    return {
      evaluation,
      plan: this.#draft(
        { wish, request, evaluation, chosen },
        { vmid, token, planId: '', guestUid: this.#parts.ids.guestUid() },
      ),
    };
  }

  #reserve(wish: Wish, request: ContainerRequest): Planned {
    const { database, evaluations, plans } = this.#parts.records;
    return database.transaction(() => {
      const { evaluation, chosen } = this.#chosen(wish);
      if (!stillFits(this.#parts, wish, chosen.on)) throw new Error('the ledger disagrees with the evaluation');
      const planId = this.#parts.ids.planId();
      const guestUid = this.#parts.ids.guestUid();
      const booked = this.#parts.ledger.book({
        claim: chosen.claim,
        node: chosen.on.node,
        vmid: wish.constraints.vmid,
        guestUid,
        planId,
        actor: request.actor,
        title: `container ${wish.spec.name}`,
        expiresMs: this.#parts.clock.now().getTime() + this.#parts.planTtlMs,
      });
      evaluations.insert(evaluation, booked.createdMs);
      const { vmid, fencingToken: token } = booked;
      const plan = this.#draft({ wish, request, evaluation, chosen }, { vmid, token, planId, guestUid });
      const stored = plans.insert({ plan: { ...plan, reservationId: booked.id }, action: undefined });
      return { evaluation, plan: stored.plan };
    });
  }

  #chosen(wish: Wish): Settled {
    const { evaluation, chosen } = this.#decide(wish);
    if (chosen === undefined) throw new Infeasible(evaluation);
    return { evaluation, chosen };
  }

  #draft({ request, evaluation, chosen, wish }: Context, numbers: Numbers): Plan {
    const { uid: nodeUid, name: nodeName } = chosen.on.node;
    const { vmid, planId, guestUid } = numbers;
    const createdAt = this.#parts.clock.now();
    return {
      id: planId,
      generation: 0n,
      createdAt,
      expiresAt: new Date(createdAt.getTime() + this.#parts.planTtlMs),
      title: `create container ${wish.spec.name} (${vmid}) on ${nodeName}`,
      nodeUid,
      nodeName,
      vmid,
      guestUid,
      steps: createSteps({ spec: chosen.spec, vmid, nodeName, start: request.start }),
      evaluationId: evaluation.id,
      reservationId: '',
      state: 'draft',
      spec: chosen.spec,
      fencingToken: BigInt(numbers.token),
      actor: request.actor,
    };
  }
}

interface Settled {
  readonly evaluation: Evaluation;
  readonly chosen: NonNullable<Decision['chosen']>;
}

interface Context extends Settled {
  readonly wish: Wish;
  readonly request: ContainerRequest;
}

interface Numbers {
  readonly vmid: number;
  readonly token: number;
  readonly planId: string;
  readonly guestUid: string;
}

/** Carries the explanation out of the transaction that is rolled back. */
class Infeasible extends Error {
  readonly evaluation: Evaluation;

  constructor(evaluation: Evaluation) {
    super(evaluation.summary);
    this.evaluation = evaluation;
  }
}

/** Nodes that may be asked about the image: the named one, or all. */
function candidates(nodes: readonly NodeSnapshot[], { node: key }: PlacementConstraints): NodeSnapshot[] {
  return nodes.filter((node) => key === '' || isNamed(node, key));
}
