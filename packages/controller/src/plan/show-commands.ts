import type { HostCommand, Order } from '@pxmgr/contract/common';
import type { Plan } from '@pxmgr/contract/controller';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import type { PlanRecord } from '../domain/plan.ts';
import type { AgentDoor } from './agent-door.ts';
import { orderOf } from './order.ts';
import { issueOf } from './steps.ts';

/**
 * The plan with the commands that each step will run, as the agent itself says. A later step may depend on what an earlier
 * one makes (the image, the guest): where the agent cannot tell yet, its reason stands in place of the commands.
 */
export async function showCommands(agents: AgentDoor, record: PlanRecord): Promise<Plan> {
  const { plan } = record;
  const steps = [];
  for (const step of plan.steps) {
    const issue = issueOf(step);
    if (issue === undefined) {
      steps.push(step);
      continue;
    }
    const order = dryOrder(plan, step.index);
    steps.push({ ...step, commands: await commandsOf(async () => (await issue(agents, record, order)).commands) });
  }
  return { ...plan, steps };
}

async function commandsOf(ask: () => Promise<readonly HostCommand[]>): Promise<HostCommand[]> {
  try {
    return [...(await ask())];
  } catch (error) {
    if (!isPxmError(error)) throw error;
    return [{ argv: [], purpose: `not known before the earlier steps are done: ${error.message}`, internal: true }];
  }
}

/**
 * Only the host knows what a change needs there: a plan whose first step its agent would refuse is not made. Throws its
 * refusal. What comes later depends on what that step makes.
 */
export async function requireAgreed(agents: AgentDoor, record: PlanRecord): Promise<void> {
  const [first] = record.plan.steps;
  if (first !== undefined) await issueOf(first)?.(agents, record, dryOrder(record.plan, first.index));
}

function dryOrder(plan: Plan, step: number): Order {
  return { ...orderOf(plan, step, { way: 'forward', attempt: 1 }), dryRun: true };
}
