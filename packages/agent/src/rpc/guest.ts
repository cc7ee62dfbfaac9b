import type { GuestServiceService } from '@pxmgr/contract/agent';
import { type ContainerSpec, type HostCommand, type Operation, type Order, Readiness } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { bindChange, type ChangeRequest } from '../guest/change/change.ts';
import { type CreateRequest, checkCreateRequest } from '../guest/create/check-spec.ts';
import { cloneContainer, previewClone } from '../guest/create/clone.ts';
import { type CloneRequest, type CloneSource, checkCloneRequest } from '../guest/create/clone-plan.ts';
import { createContainer, previewCreate } from '../guest/create/create.ts';
import { carryOutVerb, checkVerb, previewVerb, type VerbRequest } from '../guest/lifecycle.ts';
import type { GuestParts } from '../guest/parts.ts';
import type { VerbParams } from '../guest/verb-recovery.ts';
import type { Fence } from '../operation/fence.ts';
import type { OperationStore } from '../operation/operation-store.ts';
import type { Work } from '../operation/work.ts';
import { execContainer } from './exec-stream.ts';
import { documentsOf, type NodeView } from './node-view.ts';

export interface GuestServiceParts {
  readonly guests: GuestParts;
  readonly store: OperationStore;
  readonly fence: Fence;
  readonly view: NodeView;
}

interface Answer {
  operation: Operation | undefined;
  commands: HostCommand[];
}

const TITLES = { start: 'start', shutdown: 'shut down', stop: 'stop', destroy: 'destroy' } as const;

/** Containers: list, create, run, end, change, enter; only translation. */
export function guestService(parts: GuestServiceParts): Implementation<typeof GuestServiceService> {
  const { view } = parts;
  return {
    listGuests: () => Promise.resolve({ containers: documentsOf(view, 'container'), vms: documentsOf(view, 'vm') }),
    getGuest: ({ vmid }) => {
      const container = documentsOf(view, 'container').find((one) => one.vmid === vmid);
      if (container === undefined)
        throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: String(vmid), where: ` on ${view.nodeName}` });
      return Promise.resolve({ container });
    },
    createContainer: ({ order, ...request }) => begin(parts, order, () => createJob(parts, request)),
    cloneContainer: ({ order, ...request }) => begin(parts, order, () => cloneJob(parts, request)),
    startContainer: ({ order, vmid, guestUid, readiness }) =>
      begin(parts, order, () => verbJob(parts, { verb: 'start', vmid, guestUid, readiness })),
    shutdownContainer: ({ order, ...request }) =>
      begin(parts, order, () => verbJob(parts, { verb: 'shutdown', ...request })),
    stopContainer: ({ order, ...request }) => begin(parts, order, () => verbJob(parts, { verb: 'stop', ...request })),
    destroyContainer: ({ order, ...request }) =>
      begin(parts, order, () => verbJob(parts, { verb: 'destroy', ...request })),
    changeContainer: ({ order, ...request }) => begin(parts, order, () => changeJob(parts, request)),
    execContainer: (messages, context, write) => execContainer(parts.guests, { messages, context, write }),
  };
}

/** Work on one guest, whatever its kind. */
interface GuestJob {
  readonly kind: string;
  readonly title: string;
  readonly vmid: number;
  /** Other guests that nothing else may be done to meanwhile. */
  readonly holds?: readonly number[];
  /** For the recovery of the kind. */
  readonly params: object;
  readonly preview: () => Promise<HostCommand[]> | HostCommand[];
  /** Refuses what is plainly impossible; the body looks again when its turn comes. */
  readonly check: () => Promise<void> | void;
  readonly body: (work: Work) => Promise<void>;
}

/** A repeated order is answered before fence and checks: its work has begun, or is done. */
async function begin(
  { store, fence }: GuestServiceParts,
  order: Order | undefined,
  makeJob: () => GuestJob,
): Promise<Answer> {
  const isDryRun = order?.dryRun === true;
  const key = isDryRun ? '' : (order?.idempotencyKey ?? '');
  const known = key === '' ? undefined : store.findByKey(key);
  if (known !== undefined) return { operation: known, commands: [] };
  const { kind, title, vmid, holds = [], params, check, preview, body } = makeJob();
  if (isDryRun) return { operation: undefined, commands: await preview() };
  const lane = `vmid:${vmid}`;
  await fence.check(lane, order);
  const keys = [lane, ...holds.map((other) => `vmid:${other}`)];
  if (!keys.some((key) => store.isBusy(key))) await check();
  const request = { kind, title, vmid, keys, order, params: { ...params, actor: order?.actor ?? '' } };
  return { operation: await store.start(request, body), commands: [] };
}

type CreateOrder = Omit<CreateRequest, 'spec'> & { readonly spec: ContainerSpec | undefined };

function createJob({ guests }: GuestServiceParts, { vmid, guestUid, spec }: CreateOrder): GuestJob {
  if (spec === undefined) throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'spec: it is missing' });
  const request = { vmid, guestUid, spec };
  checkCreateRequest(request);
  const finish = spec.protection || spec.mounts.some((mount) => mount.source?.$case !== 'volume');
  return {
    kind: 'container.create',
    title: `create container ${vmid} (${spec.name})`,
    vmid,
    params: { vmid, guestUid, finish },
    preview: () => previewCreate(guests, request),
    check: () => undefined,
    body: (work) => createContainer(guests, request, work),
  };
}

type CloneOrder = Omit<CloneRequest, 'source'> & { readonly source: CloneSource | undefined };

function cloneJob({ guests }: GuestServiceParts, { source, ...rest }: CloneOrder): GuestJob {
  if (source === undefined) throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'source: it is missing' });
  const request = { ...rest, source };
  checkCloneRequest(request);
  const { vmid, guestUid, name } = request;
  return {
    kind: 'container.clone',
    title: `clone container ${source.vmid} as ${vmid} (${name})`,
    vmid,
    holds: [source.vmid],
    params: { vmid, guestUid },
    preview: () => previewClone(guests, request),
    check: () => undefined,
    body: (work) => cloneContainer(guests, request, work),
  };
}

function verbJob({ guests }: GuestServiceParts, request: VerbRequest): GuestJob {
  const { vmid, guestUid, verb, readiness, timeoutSeconds } = request;
  return {
    kind: `container.${verb}`,
    title: `${TITLES[verb]} container ${vmid}`,
    vmid,
    params: {
      vmid,
      guestUid,
      ...(readiness === undefined ? {} : { readiness: Readiness.toJSON(readiness) }),
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    } satisfies VerbParams,
    preview: () => previewVerb(guests, request),
    check: () => {
      checkVerb(guests, request);
    },
    body: (work) => carryOutVerb(guests, request, work),
  };
}

function changeJob({ guests }: GuestServiceParts, request: ChangeRequest): GuestJob {
  const change = bindChange(guests, request);
  const { kind, title, params } = change;
  return {
    kind,
    title,
    vmid: request.vmid,
    params,
    preview: () => change.preview(),
    check: () => change.check(),
    body: (work) => change.carryOut(work),
  };
}
