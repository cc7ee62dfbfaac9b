/** A clone as a reserved plan: on the node of its source, with a vmid and a claim of its own, agreed with the agent before it is kept. */
import type { ContainerDocument } from '@pxmgr/contract/common';
import { type CloneAction, PlacementConstraints, type Plan } from '@pxmgr/contract/controller';
import { cloneSpec, isFullClone } from '../domain/clone.ts';
import type { NodeState } from '../domain/node-state.ts';
import { type Action, type CloneOutline, cloneSteps, cloneTitle } from '../domain/plan.ts';
import type { AgentDoor } from './agent-door.ts';
import { invalid, type Planner, type WishOrder } from './planner.ts';
import { requireAgreed } from './show-commands.ts';

export interface CloneWish {
  readonly wish: CloneAction;
  readonly source: ContainerDocument;
  readonly node: NodeState;
  readonly request: Pick<WishOrder, 'dryRun' | 'showCommands' | 'actor'>;
}

export interface ClonePlannerParts {
  readonly planner: Planner;
  readonly agents: AgentDoor;
}

/** Errors: those of `Planner.planWish`, PXM_INPUT_INVALID, and what the agent says against it. */
export async function planClone({ planner, agents }: ClonePlannerParts, clone: CloneWish): Promise<Plan> {
  const { wish, source, node, request } = clone;
  const full = isFullClone(wish, source);
  if (!full && wish.storage !== '') throw invalid(['storage: the clone of a template lies where the template does']);
  const resolved = { ...wish, full, sourceVmid: source.vmid, sourceGuestUid: source.guestUid };
  const action: Action = { $case: 'clone', value: resolved };
  const order: WishOrder = {
    ...request,
    action,
    wish: {
      spec: cloneSpec(source, resolved),
      constraints: PlacementConstraints.fromPartial({ node: node.uid, vmid: wish.vmid }),
    },
    outline: ({ vmid, nodeName, spec }) => {
      const names = { source: `container ${source.name} (${source.vmid})`, clone: `container ${spec.name} (${vmid})` };
      const outline: CloneOutline = { ...names, vmid, nodeName, full };
      return { title: cloneTitle(outline), steps: cloneSteps(outline) };
    },
  };
  const { plan } = await planner.planWish({ ...order, dryRun: true, showCommands: false });
  await requireAgreed(agents, { plan, action });
  return request.dryRun && !request.showCommands ? plan : (await planner.planWish(order)).plan;
}
