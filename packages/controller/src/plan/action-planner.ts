/** Plans for work on what is there already: start, shut down, stop, destroy, change, clone a container; pull an image. */

import { formatImageReference, parseImageReference } from '@pxmgr/contract';
import type { ContainerDocument, ImageSource } from '@pxmgr/contract/common';
import { ContainerSpec } from '@pxmgr/contract/common';
import type { CloneAction, GuestKey, Plan, PullAction } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { checkClone } from '../domain/clone.ts';
import { checkChange } from '../domain/container-change.ts';
import type { FleetView } from '../domain/fleet-view.ts';
import type { NodeState } from '../domain/node-state.ts';
import { type Action, actionSteps, actionTitle, type PlainAction, type PlanRecord } from '../domain/plan.ts';
import { isNothing, NO_CLAIM } from '../domain/reservation.ts';
import { checkReadiness } from '../domain/spec-check.ts';
import { planClone } from './clone-planner.ts';
import { type ExactAction, exactAction, isSameDevices } from './exact-action.ts';
import { freeDevices } from './free-devices.ts';
import { invalid, type Planner, type PlannerParts } from './planner.ts';
import { resolveImage } from './resolve-image.ts';
import { requireAgreed, showCommands } from './show-commands.ts';

export interface ActionPlannerParts extends PlannerParts {
  readonly view: FleetView;
  readonly planner: Planner;
}

export interface ActionRequest {
  readonly action: Action | undefined;
  readonly dryRun: boolean;
  readonly showCommands: boolean;
  readonly actor: string;
}

/** What the action is about. */
interface Subject {
  readonly node: NodeState;
  readonly vmid: number;
  readonly guestUid: string;
  /** "container web (101)", or an image reference. */
  readonly text: string;
  readonly spec: ContainerSpec | undefined;
}

/** An action as asked for, and as the agent agreed to it. */
interface Agreed {
  readonly action: PlainAction;
  readonly exact: ExactAction;
  readonly subject: Subject;
}

const SHUTDOWN_SECONDS_MAX = 3600;

export class ActionPlanner {
  readonly #parts: ActionPlannerParts;

  constructor(parts: ActionPlannerParts) {
    this.#parts = parts;
  }

  /**
   * Reserves devices, what a guest shall have more, and what a clone takes; a dry run stores nothing. Errors: PXM_INPUT_INVALID, PXM_GUEST_NOT_FOUND, PXM_GUEST_AMBIGUOUS,
   * PXM_GUEST_TEMPLATE, PXM_GUEST_PROTECTED, PXM_GUEST_RUNNING, PXM_NODE_NOT_FOUND, PXM_NODE_DOWN; of a change also
   * PXM_DEVICE_UNAVAILABLE, PXM_SIZE_UNAVAILABLE, PXM_PLAN_STALE and what the agent says against it; of a clone those of `planClone`.
   */
  async plan(request: ActionRequest): Promise<Plan> {
    const { action } = request;
    if (action === undefined) throw invalid(['action: name what is to be done']);
    const problems = problemsOf(action);
    if (problems.length > 0) throw invalid(problems);
    if (action.$case === 'clone') return await this.#clone(action.value, request);
    const subject = action.$case === 'pull' ? await this.#image(action.value) : this.#guest(action);
    requireUp(subject.node);
    const exact = this.#exact(action, subject);
    const draft = this.#draft(exact, subject, request);
    if (action.$case === 'change') await requireAgreed(this.#parts.agents, { plan: draft, action: exact.action });
    const record = request.dryRun
      ? { plan: draft, action: exact.action }
      : this.#keep(draft, { action, exact, subject });
    return request.showCommands ? await showCommands(this.#parts.agents, record) : record.plan;
  }

  async #clone(wish: CloneAction, request: ActionRequest): Promise<Plan> {
    const { document: source, node } = this.#document(wish.guest);
    requireUp(node);
    return await planClone(this.#parts, { wish, source, node, request });
  }

  #exact(action: PlainAction, { node: { uid }, vmid }: Subject): ExactAction {
    const { records, snapshots, policy } = this.#parts;
    const node = snapshots.node(uid);
    const guest = node?.guests.get(vmid);
    if (node === undefined || guest === undefined) return { action, claim: NO_CLAIM };
    return exactAction(action, { reservations: records.reservations, policy, node, guest });
  }

  /** What was agreed with the agent is looked at once more, in one piece with the reservation: nobody gets it between. */
  #keep(draft: Plan, { action, exact, subject }: Agreed): PlanRecord {
    const { records, ledger, snapshots } = this.#parts;
    if (isNothing(exact.claim)) return records.plans.insert({ plan: draft, action: exact.action });
    return records.database.transaction(() => {
      const now = this.#exact(action, subject);
      const node = snapshots.node(draft.nodeUid);
      if (node === undefined || !isSameDevices(now.action, exact.action))
        throw new PxmError('PXM_PLAN_STALE', { plan: draft.id, reason: 'its devices were given away meanwhile' });
      freeDevices(records.reservations, node);
      const [holder] = ledger.vmidOwners(draft.vmid, [node]);
      if (holder !== undefined) {
        const hint = 'another plan for the container is under way: wait for its end';
        throw new PxmError('PXM_VMID_TAKEN', { vmid: String(draft.vmid), owner: holder.holder }, { hint });
      }
      const booked = ledger.book({
        claim: now.claim,
        node,
        vmid: draft.vmid,
        guestUid: draft.guestUid,
        planId: draft.id,
        actor: draft.actor,
        title: draft.title,
        expiresMs: draft.expiresAt?.getTime() ?? 0,
      });
      const plan = { ...draft, reservationId: booked.id, fencingToken: BigInt(booked.fencingToken) };
      return records.plans.insert({ plan, action: exact.action });
    });
  }

  #guest(action: Exclude<PlainAction, { $case: 'pull' }>): Subject {
    const { document, node } = this.#document(action.value.guest);
    checkState(action, document, node.name);
    const { vmid, guestUid, name } = document;
    return { node, vmid, guestUid, text: `container ${name} (${vmid})`, spec: undefined };
  }

  #document(guest: GuestKey | undefined): { document: ContainerDocument; node: NodeState } {
    const object = this.#parts.view.container(keyOf(guest));
    const document = object.document?.document;
    const node = this.#parts.view.node(object.nodeUid);
    if (document?.$case !== 'container' || node === undefined) throw new Error(`object ${object.id} is no container`);
    return { document: document.value, node };
  }

  async #image({ reference, node: key, platform }: PullAction): Promise<Subject> {
    const { view, snapshots, agents } = this.#parts;
    const node = key === '' ? onlyNode(view) : view.node(key);
    if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    requireUp(node);
    const parsed = parseImageReference(reference);
    const text = parsed.ok ? formatImageReference(parsed.value) : reference;
    const asked: ImageSource = { reference: text, digest: '', platform, indexDigest: '', sizeBytes: 0n };
    const snapshot = snapshots.node(node.uid);
    const resolved = await resolveImage(agents, snapshot === undefined ? [] : [snapshot], asked);
    if (resolved === undefined) {
      throw new PxmError('PXM_CAPABILITY_MISSING', { node: node.name, capability: 'image.pull', needs: 'skopeo' });
    }
    const spec = ContainerSpec.fromPartial({ source: { $case: 'image', value: resolved.image } });
    return { node, vmid: 0, guestUid: '', text, spec };
  }

  #draft({ action, claim }: ExactAction, { node, vmid, guestUid, text, spec }: Subject, request: ActionRequest): Plan {
    const { clock, ids, planTtlMs, records } = this.#parts;
    const createdAt = clock.now();
    return {
      id: request.dryRun ? '' : ids.planId(),
      generation: 0n,
      createdAt,
      expiresAt: new Date(createdAt.getTime() + planTtlMs),
      title: actionTitle(action, text, node.name),
      nodeUid: node.uid,
      nodeName: node.name,
      vmid,
      guestUid,
      steps: actionSteps({ action, subject: text, nodeName: node.name, isReserved: !isNothing(claim) }),
      evaluationId: '',
      reservationId: '',
      state: 'draft',
      spec,
      fencingToken: BigInt(records.reservations.fence(node.uid)),
      actor: request.actor,
    };
  }
}

function keyOf(guest: GuestKey | undefined): { key: string; node?: string } {
  const { key = '', node = '' } = guest ?? {};
  return node === '' ? { key } : { key, node };
}

function problemsOf(action: Action): string[] {
  const problems: string[] = [];
  const complain = (field: string, text: string): unknown => problems.push(`${field}: ${text}`);
  if (action.$case === 'pull') {
    const parsed = parseImageReference(action.value.reference);
    if (!parsed.ok) complain('reference', parsed.reason);
    return problems;
  }
  if ((action.value.guest?.key ?? '') === '') complain('guest', 'name a container by vmid or name');
  if (action.$case === 'change') checkChange(action.value, complain);
  if (action.$case === 'clone') checkClone(action.value, complain);
  if (action.$case === 'start' && action.value.readiness !== undefined)
    checkReadiness(action.value.readiness, complain);
  if (action.$case === 'shutdown' && action.value.timeoutSeconds > SHUTDOWN_SECONDS_MAX) {
    complain('timeout', `must be at most ${SHUTDOWN_SECONDS_MAX} s`);
  }
  return problems;
}

/** What the inventory already says against it; the agent looks again when it is done. */
function checkState(action: PlainAction, guest: ContainerDocument, node: string): void {
  const where = { vmid: String(guest.vmid), node };
  if (action.$case === 'start' && guest.template) throw new PxmError('PXM_GUEST_TEMPLATE', where);
  if (action.$case === 'start' && guest.status === 'running')
    throw new PxmError('PXM_GUEST_RUNNING', where, { hint: 'there is nothing to do' });
  if (action.$case !== 'destroy') return;
  if (guest.protection) throw new PxmError('PXM_GUEST_PROTECTED', where);
  if (guest.status === 'running' && !action.value.force) throw new PxmError('PXM_GUEST_RUNNING', where);
}

/** Errors: PXM_NODE_DOWN. */
export function requireUp(node: NodeState): void {
  if (node.presence === 'up') return;
  const seen = node.lastSeenAt?.toISOString() ?? 'never';
  throw new PxmError('PXM_NODE_DOWN', { node: node.name, presence: node.presence, seen });
}

function onlyNode(view: FleetView): NodeState {
  const nodes = view.nodes();
  const [only] = nodes;
  if (only === undefined || nodes.length > 1) throw invalid(['node: name the node that shall pull it']);
  return only;
}
