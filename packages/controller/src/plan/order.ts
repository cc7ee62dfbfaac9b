import type { Order } from '@pxmgr/contract/common';
import type { Plan } from '@pxmgr/contract/controller';
import { stepKey } from '../domain/plan.ts';

export interface Turn {
  readonly way: 'forward' | 'undo';
  readonly attempt: number;
  /** Newer than that of the plan: no order of the plan that is still on its way is heeded after this one. */
  readonly fencingToken?: bigint;
}

/** What goes with every call that changes something on a node. */
export function orderOf(plan: Plan, step: number, turn: Turn): Order {
  return {
    idempotencyKey: stepKey(plan.id, step, turn),
    planId: plan.id,
    planGeneration: plan.generation,
    fencingToken: turn.fencingToken ?? plan.fencingToken,
    actor: plan.actor,
    dryRun: false,
  };
}
