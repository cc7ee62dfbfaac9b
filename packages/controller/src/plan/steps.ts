/** Step kinds -> orders to the agent, and what takes a step back. The only place that knows which kind calls what. */
import { CHANGE_KINDS } from '@pxmgr/contract';
import type { Order } from '@pxmgr/contract/common';
import type { PlanStep } from '@pxmgr/contract/controller';
import type { Action, PlanRecord, StepKind } from '../domain/plan.ts';
import type { Accepted, AgentDoor } from './agent-door.ts';

type Issue = (agents: AgentDoor, record: PlanRecord, order: Order) => Promise<Accepted>;

type ActionValues = { readonly [A in Action as A['$case']]: A['value'] };

function actionOf<Case extends Action['$case']>({ plan, action }: PlanRecord, name: Case): ActionValues[Case] {
  if (action?.$case !== name) throw new Error(`plan ${plan.id} has no action ${name}`);
  return action.value as ActionValues[Case];
}

const pull: Issue = (agents, { plan }, order) => {
  const source = plan.spec?.source;
  const image = source?.$case === 'image' ? source.value : undefined;
  return agents.pullImage(plan.nodeUid, { order, image, storage: '' });
};

const create: Issue = (agents, { plan }, order) => {
  const { nodeUid, vmid, guestUid, spec } = plan;
  return agents.createContainer(nodeUid, { order, vmid, guestUid, spec });
};

const clone: Issue = (agents, record, order) => {
  const { nodeUid, vmid, guestUid } = record.plan;
  const { sourceVmid, sourceGuestUid, snapshot, name, storage, full } = actionOf(record, 'clone');
  const source = { vmid: sourceVmid, guestUid: sourceGuestUid, snapshot };
  return agents.cloneContainer(nodeUid, { order, vmid, guestUid, source, name, storage, full });
};

const start: Issue = (agents, record, order) => {
  const { nodeUid, vmid, guestUid, spec } = record.plan;
  const readiness = record.action?.$case === 'start' ? record.action.value.readiness : spec?.readiness;
  return agents.startContainer(nodeUid, { order, vmid, guestUid, readiness });
};

const shutdown: Issue = (agents, record, order) => {
  const { nodeUid, vmid, guestUid } = record.plan;
  const { timeoutSeconds, force } = actionOf(record, 'shutdown');
  return agents.shutdownContainer(nodeUid, { order, vmid, guestUid, timeoutSeconds, force });
};

const stop: Issue = (agents, { plan: { nodeUid, vmid, guestUid } }, order) =>
  agents.stopContainer(nodeUid, { order, vmid, guestUid });

const destroy: Issue = (agents, record, order) => {
  const { nodeUid, vmid, guestUid } = record.plan;
  return agents.destroyContainer(nodeUid, { order, vmid, guestUid, force: actionOf(record, 'destroy').force });
};

const change: Issue = (agents, record, order) => {
  const { nodeUid, vmid, guestUid } = record.plan;
  return agents.changeContainer(nodeUid, { order, vmid, guestUid, change: actionOf(record, 'change').change });
};

const ISSUES: Readonly<Record<string, Issue>> = {
  'image.pull': pull,
  'container.create': create,
  'container.clone': clone,
  'container.start': start,
  'container.shutdown': shutdown,
  'container.stop': stop,
  'container.destroy': destroy,
  ...Object.fromEntries(Object.values(CHANGE_KINDS).map((kind) => [kind, change])),
};

/** Kinds of which nothing is left when the agent has undone them. */
const REISSUED: ReadonlySet<string> = new Set<StepKind>([
  'image.pull',
  'container.create',
  'container.clone',
  'container.snapshot.create',
  'device.attach',
  'device.detach',
  'container.set',
]);

/** The order of an agent's step; undefined for a step that the controller does itself. */
export function issueOf(step: PlanStep): Issue | undefined {
  return ISSUES[step.kind];
}

/** What takes a step back, and how it reads. */
export interface Undo {
  readonly title: string;
  /** What is still there when it fails. */
  readonly left: string;
  readonly issue: Issue;
}

/** Takes back what this plan made and nothing else: the agent compares the guest's uid. Undefined = no undo of its own. */
export function undoOf(step: PlanStep, record: PlanRecord): Undo | undefined {
  const { vmid, nodeName } = record.plan;
  const guest = `container ${vmid} on ${nodeName}`;
  if (step.kind === 'container.create' || step.kind === 'container.clone')
    return { title: `destroy ${guest}`, left: guest, issue: destroyMade };
  if (step.kind === 'device.attach')
    return { title: `take the devices from ${guest}`, left: `devices of ${guest}`, issue: detachGiven };
  return undefined;
}

const destroyMade: Issue = (agents, { plan: { nodeUid, vmid, guestUid } }, order) =>
  agents.destroyContainer(nodeUid, { order, vmid, guestUid, force: true });

const detachGiven: Issue = (agents, record, order) => {
  const { nodeUid, vmid, guestUid } = record.plan;
  const given = actionOf(record, 'change').change?.change;
  const devices = given?.$case === 'attachDevices' ? given.value.devices : [];
  const change = { change: { $case: 'detachDevices' as const, value: { devices } } };
  return agents.changeContainer(nodeUid, { order, vmid, guestUid, change });
};

/** A step that an agent undid after its own crash may be ordered once more: nothing of it is left. */
export function mayReissue(step: PlanStep): boolean {
  return REISSUED.has(step.kind);
}

/** An image that may or may not have arrived troubles nobody; a guest that may or may not be there does. */
export function changesGuest(step: PlanStep): boolean {
  return step.kind !== 'image.pull';
}
