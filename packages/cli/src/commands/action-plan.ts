/** What all commands for one guest that exists share: how it is named, and how the plan is asked for. */
import type { ContainerChange } from '@pxmgr/contract/common';
import { PlacementServiceClient, type PlanActionRequest } from '@pxmgr/contract/controller';
import { controllerOf } from '../client.ts';
import type { ArgumentDefinition, OptionDefinition } from '../command.ts';
import type { Context } from '../context.ts';
import type { ChangeFlags, Planned } from './carry-out.ts';

export const GUEST_ARG = {
  name: 'CONTAINER',
  help: 'vmid or name',
  complete: 'container',
} as const satisfies ArgumentDefinition;
export const GUEST_ARGS = [GUEST_ARG] as const;
export const NODE_OPTION = {
  kind: 'text',
  flag: 'node',
  value: 'NODE',
  help: 'where the name is ambiguous',
  complete: 'node',
} as const satisfies OptionDefinition;
type MakePlan = (dryRun: boolean) => Promise<Planned>;

export function actionPlanner(context: Context, flags: ChangeFlags, action: PlanActionRequest['action']): MakePlan {
  return async (dryRun) =>
    await controllerOf(context).askSlow(PlacementServiceClient, 'planAction', {
      action,
      dryRun,
      showCommands: flags.showCommands,
    });
}

export interface GuestChange {
  readonly guest: { readonly key: string; readonly node: string };
  readonly change: NonNullable<ContainerChange['change']>;
  /** Of a rollback: start it afterwards. */
  readonly start?: boolean;
}

export function changePlanner(
  context: Context,
  flags: ChangeFlags,
  { guest, change, start = false }: GuestChange,
): MakePlan {
  return actionPlanner(context, flags, { $case: 'change', value: { guest, change: { change }, start } });
}
