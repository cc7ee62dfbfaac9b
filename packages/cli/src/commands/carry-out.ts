/**
 * The one way from a plan to its result, for every command that changes something:
 * plan -> (dry run: show it, stop) -> (destructive: show it, ask) -> apply -> follow.
 */
import type { Operation } from '@pxmgr/contract/common';
import { type Evaluation, PlacementServiceClient, type Plan } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../client.ts';
import type { OptionDefinition } from '../command.ts';
import type { Context } from '../context.ts';
import { renderEvaluation } from '../render/explanation.ts';
import { renderPlan } from '../render/plan.ts';
import { detail, type Result } from '../result.ts';
import { type Confirmation, confirm } from './confirm.ts';
import { followOperation } from './follow-operation.ts';
import { pageOf } from './page.ts';

export const CHANGE_OPTIONS = {
  dryRun: { kind: 'flag', flag: 'dry-run', help: 'show the plan, change nothing' },
  showCommands: { kind: 'flag', flag: 'show-commands', help: 'show the exact commands that run on the node' },
  detach: { kind: 'flag', flag: 'detach', help: 'print the operation id and return at once' },
} as const satisfies Record<string, OptionDefinition>;

export interface ChangeFlags {
  readonly dryRun: boolean;
  readonly showCommands: boolean;
  readonly detach: boolean;
}

export interface Planned {
  readonly plan: Plan | undefined;
  readonly evaluation?: Evaluation | undefined;
}

export interface CarryOut {
  readonly flags: ChangeFlags;
  readonly makePlan: (dryRun: boolean) => Promise<Planned>;
  /** The question before a destructive plan; undefined = not destructive, or --yes was given. */
  readonly confirm?: Omit<Confirmation, 'effect'> | undefined;
  readonly done: (operation: Operation) => readonly string[];
}

function requirePlan(planned: Planned): Plan {
  if (planned.plan === undefined)
    throw new PxmError('PXM_INTERNAL', {}, { detail: 'the controller answered without a plan' });
  return planned.plan;
}

function planLines(context: Context, planned: Planned, commands: boolean): string[] {
  const page = pageOf(context);
  const lines = planned.evaluation === undefined ? [] : [...renderEvaluation(planned.evaluation, page, 'chosen'), ''];
  return [...lines, ...renderPlan(requirePlan(planned), page, commands)];
}

export async function carryOut(context: Context, work: CarryOut): Promise<Result> {
  const { flags } = work;
  if (flags.dryRun) {
    const planned = await work.makePlan(true);
    const json = { plan: planned.plan, evaluation: planned.evaluation, dryRun: true };
    return detail({
      noun: 'Plan',
      name: requirePlan(planned).id,
      lines: planLines(context, planned, flags.showCommands),
      json,
    });
  }
  if (work.confirm !== undefined)
    await confirm(context, {
      ...work.confirm,
      effect: async () => planLines(context, await work.makePlan(true), false),
    });
  const planned = await work.makePlan(false);
  const plan = requirePlan(planned);
  const { operation } = await controllerOf(context).ask(PlacementServiceClient, 'applyPlan', { planId: plan.id });
  if (operation === undefined)
    throw new PxmError('PXM_INTERNAL', {}, { detail: 'the controller answered without an operation' });
  if (flags.detach) return detail({ noun: 'Operation', name: operation.id, lines: [operation.id], json: operation });
  if (!context.quiet) {
    if (planned.evaluation !== undefined) context.streams.err(`${planned.evaluation.summary}\n`);
    context.streams.err(`${operation.id}  ${plan.title}\n`);
  }
  return await followOperation(context, operation.id, { commands: flags.showCommands, done: work.done });
}
