/** The last word: the inventory shows what was done. Where it lags, the agent itself is asked before anything is called a failure. */

import type { ContainerDocument } from '@pxmgr/contract/common';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import { abortReason } from '@pxmgr/kit/sync/abort';
import { isChangeShown } from '../domain/container-change.ts';
import { expectationOf, type PlanRecord } from '../domain/plan.ts';
import { isAway } from './patience.ts';
import type { RunContext } from './run-context.ts';

export interface Confirmation {
  /** False: the agent says so, the inventory does not show it yet. */
  readonly isObserved: boolean;
}

/** Errors: PXM_CONFIRM_TIMEOUT; the reasons of `stop` and `cancel`. A node that is away is waited for. */
export async function confirm(context: RunContext, step: number): Promise<Confirmation> {
  const { plan, view, limits, log } = context;
  for (let isTold = false; ; isTold = true) {
    if (await appears(context)) return { isObserved: true };
    const answer = await askAgent(context);
    if (answer === 'agrees') return { isObserved: false };
    if (isShown(context)) return { isObserved: true };
    if (answer === 'denies' || view.node(plan.nodeUid) === undefined) break;
    if (!isTold) log.note(step, `${plan.nodeName} cannot be asked; trying on`, 'warning');
  }
  const fields = { vmid: String(plan.vmid), node: plan.nodeName, seconds: String(limits.confirmMs / 1000) };
  throw new PxmError('PXM_CONFIRM_TIMEOUT', fields);
}

async function appears(context: RunContext): Promise<boolean> {
  const { view, plan, clock, limits } = context;
  const over = new AbortController();
  const signal = AbortSignal.any([context.stop, context.cancel, over.signal]);
  if (isShown(context)) return true;
  let found: (() => void) | undefined;
  const shown = new Promise<true>((resolve) => {
    found = () => {
      resolve(true);
    };
  });
  const unwatch = view.watch(({ object }) => {
    if (object.nodeUid === plan.nodeUid && isShown(context)) found?.();
  });
  try {
    const late = clock.sleep(limits.confirmMs, signal).then(() => false);
    return await Promise.race([shown, late]);
  } catch {
    throw context.stop.aborted ? abortReason(context.stop) : abortReason(context.cancel);
  } finally {
    unwatch();
    over.abort();
  }
}

/** A plan and the inventory that shall show what it promised. */
type Promised = Pick<RunContext, 'view' | 'plan' | 'action'>;

/** The inventory shows what the plan promised. */
export function isShown({ view, plan, action }: Promised): boolean {
  const expectation = expectationOf(plan);
  if (expectation === 'image') {
    const digest = plan.spec?.source?.$case === 'image' ? plan.spec.source.value.digest : '';
    return view.object(plan.nodeUid, 'image', digest) !== undefined;
  }
  const document = view.object(plan.nodeUid, 'container', String(plan.vmid))?.document?.document;
  return isAs(document?.$case === 'container' ? document.value : undefined, { plan, action });
}

function isAs(guest: ContainerDocument | undefined, { plan, action }: PlanRecord): boolean {
  const expectation = expectationOf(plan);
  const { guestUid } = plan;
  const isOurs = guest !== undefined && (guestUid === '' || guest.guestUid === guestUid);
  if (expectation === 'gone') return !isOurs;
  if (!isOurs) return false;
  if (expectation === 'changed') return action?.$case === 'change' && isChangeShown(guest, action.value);
  return expectation === 'present' || guest.status === expectation;
}

async function askAgent({ agents, plan, action }: RunContext): Promise<'agrees' | 'denies' | 'away'> {
  const expectation = expectationOf(plan);
  // The agent's own operation ended well only after it had looked; an image has no further question to ask.
  if (expectation === 'image') return 'agrees';
  try {
    return isAs(await agents.getGuest(plan.nodeUid, plan.vmid), { plan, action }) ? 'agrees' : 'denies';
  } catch (error) {
    if (isPxmError(error, 'PXM_GUEST_NOT_FOUND')) return expectation === 'gone' ? 'agrees' : 'denies';
    return isAway(error) ? 'away' : 'denies';
  }
}
