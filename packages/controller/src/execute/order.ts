import type { Order } from '@pxmgr/contract/common';
import type { Plan } from '@pxmgr/contract/controller';
import { stepKey } from '../domain/plan.ts';

export interface Turn {
  readonly way: 'forward' | 'undo';
  readonly attempt: number;
}

/** What goes with every call that changes something on a node. */
export function orderOf(plan: Plan, step: number, turn: Turn): Order {
  return {
    idempotencyKey: stepKey(plan.id, step, turn),
    planId: plan.id,
    planGeneration: plan.generation,
    fencingToken: plan.fencingToken,
    actor: plan.actor,
    dryRun: false,
  };
}
