/** Plans: which steps a piece of work has, how each is taken back, and what the inventory must show at the end. Pure. */
import { CHANGE_KINDS, type ChangeKindName } from '@pxmgr/contract';
import type { ContainerSpec } from '@pxmgr/contract/common';
import type { Plan, PlanActionRequest, PlanStep } from '@pxmgr/contract/controller';
import { changeTitle, changeUndo } from './container-change.ts';

export type StepKind =
  | 'image.pull'
  | 'container.create'
  | 'container.clone'
  | 'container.start'
  | 'container.shutdown'
  | 'container.stop'
  | 'container.destroy'
  | ChangeKindName
  | 'inventory.confirm'
  | 'reservation.release';

export type Action = NonNullable<PlanActionRequest['action']>;

/** A plan as kept: what callers see, and the request that an action plan carries out. */
export interface PlanRecord {
  readonly plan: Plan;
  /** Undefined for a create plan. */
  readonly action: Action | undefined;
}

interface StepDraft {
  readonly kind: StepKind;
  readonly title: string;
  readonly undo?: string;
}

function number(drafts: readonly StepDraft[]): PlanStep[] {
  return drafts.map((draft, index) => ({
    index: index + 1,
    kind: draft.kind,
    title: draft.title,
    undo: draft.undo ?? '',
    commands: [],
  }));
}

export interface CreateOutline {
  readonly spec: ContainerSpec;
  readonly vmid: number;
  readonly nodeName: string;
  readonly start: boolean;
}

/** The pull is always a step: it is idempotent by digest, and the inventory may be behind. */
export function createSteps({ spec, vmid, nodeName, start }: CreateOutline): PlanStep[] {
  const guest = `container ${spec.name} (${String(vmid)})`;
  const drafts: StepDraft[] = [];
  if (spec.source?.$case === 'image') {
    drafts.push({ kind: 'image.pull', title: `pull ${spec.source.value.reference} to ${nodeName}` });
  }
  const undo = `destroy container ${String(vmid)} if it is the one made here`;
  drafts.push({ kind: 'container.create', title: `create ${guest} on ${nodeName}`, undo });
  if (start)
    drafts.push({ kind: 'container.start', title: `start ${guest}`, undo: 'goes with the undo of the create' });
  drafts.push({ kind: 'inventory.confirm', title: `see ${guest} in the inventory` });
  drafts.push(RELEASE);
  return number(drafts);
}

export interface CloneOutline {
  /** "container web (101)" */
  readonly source: string;
  /** "container copy (102)" */
  readonly clone: string;
  readonly vmid: number;
  readonly nodeName: string;
  readonly full: boolean;
}

export function cloneTitle({ source, clone, nodeName, full }: CloneOutline): string {
  return `clone ${source} as ${clone} on ${nodeName}, ${full ? 'all data copied' : 'on top of its data'}`;
}

export function cloneSteps(outline: CloneOutline): PlanStep[] {
  const undo = `destroy container ${String(outline.vmid)} if it is the one made here`;
  return number([
    { kind: 'container.clone', title: cloneTitle(outline), undo },
    { kind: 'inventory.confirm', title: `see ${outline.clone} in the inventory` },
    RELEASE,
  ]);
}

/** A clone has steps of its own. */
export type PlainAction = Exclude<Action, { $case: 'clone' }>;
type VerbAction = Exclude<PlainAction, { $case: 'change' }>;

const ACTION_KINDS = {
  start: 'container.start',
  shutdown: 'container.shutdown',
  stop: 'container.stop',
  destroy: 'container.destroy',
  pull: 'image.pull',
} as const satisfies Record<VerbAction['$case'], StepKind>;

const ACTION_VERBS = {
  start: 'start',
  shutdown: 'shut down',
  stop: 'stop',
  destroy: 'destroy',
  pull: 'pull',
} as const satisfies Record<VerbAction['$case'], string>;

/** `subject`: "container web (101)", or an image reference. */
export function actionTitle(action: PlainAction, subject: string, nodeName: string): string {
  if (action.$case === 'change') return `${changeTitle(action.value.change, subject)} on ${nodeName}`;
  return `${ACTION_VERBS[action.$case]} ${subject} ${action.$case === 'pull' ? 'to' : 'on'} ${nodeName}`;
}

/** Errors: a plain one for a change that names none; the caller has looked. */
function actionKind(action: PlainAction): StepKind {
  if (action.$case !== 'change') return ACTION_KINDS[action.$case];
  const change = action.value.change?.change;
  if (change === undefined) throw new Error('the action names no change');
  return CHANGE_KINDS[change.$case];
}

export interface ActionOutline {
  readonly action: PlainAction;
  /** As in `actionTitle`. */
  readonly subject: string;
  readonly nodeName: string;
  /** What is given to a guest is held until the inventory shows it there. */
  readonly isReserved: boolean;
}

export function actionSteps({ action, subject, nodeName, isReserved }: ActionOutline): PlanStep[] {
  const undo = action.$case === 'change' ? changeUndo(action.value.change) : '';
  return number([
    { kind: actionKind(action), title: actionTitle(action, subject, nodeName), undo },
    ...(action.$case === 'change' && action.value.start
      ? [{ kind: 'container.start' as const, title: `start ${subject}` }]
      : []),
    { kind: 'inventory.confirm', title: `see it in the inventory` },
    ...(isReserved ? [RELEASE] : []),
  ]);
}

const RELEASE: StepDraft = { kind: 'reservation.release', title: 'release the reservation' };

const MAKES: ReadonlySet<string> = new Set<StepKind>(['container.create', 'container.clone']);

/** The step that makes the guest of a vmid that is new; undefined for work on what is there. */
export function makingStep(plan: Plan): PlanStep | undefined {
  return plan.steps.find((step) => MAKES.has(step.kind));
}

/** What must be seen before the work counts as done. */
export type Expectation = 'present' | 'running' | 'stopped' | 'gone' | 'image' | 'changed';

const CHANGES: ReadonlySet<string> = new Set(Object.values(CHANGE_KINDS));

export function expectationOf(plan: Plan): Expectation {
  const kinds = new Set(plan.steps.map((step) => step.kind));
  if (kinds.has('container.destroy')) return 'gone';
  if (plan.steps.some((step) => CHANGES.has(step.kind))) return 'changed';
  if (kinds.has('container.stop') || kinds.has('container.shutdown')) return 'stopped';
  if (kinds.has('container.start')) return 'running';
  return makingStep(plan) === undefined ? 'image' : 'present';
}

/** The same key never starts a second operation on the agent; a new attempt or the undo has a key of its own. */
export function stepKey(planId: string, step: number, turn: { way: 'forward' | 'undo'; attempt: number }): string {
  const undo = turn.way === 'undo' ? '/undo' : '';
  return `${planId}/${String(step)}${undo}${turn.attempt > 1 ? `/${String(turn.attempt)}` : ''}`;
}
