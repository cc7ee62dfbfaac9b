import type { GuestServiceService } from '@pxmgr/contract/agent';
import type { HostCommand, Operation, Order } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { type CreateRequest, checkCreateRequest } from '../guest/check-spec.ts';
import { createContainer, previewCreate } from '../guest/create.ts';
import type { GuestRecords } from '../guest/guest-records.ts';
import { carryOutVerb, checkVerb, previewVerb, type VerbRequest } from '../guest/lifecycle.ts';
import type { GuestParts } from '../guest/parts.ts';
import type { Fence } from '../operation/fence.ts';
import type { OperationStore } from '../operation/operation-store.ts';
import { execContainer } from './exec-stream.ts';
import { documentsOf, type NodeView } from './node-view.ts';

export interface GuestServiceParts {
  readonly guests: GuestParts;
  readonly records: GuestRecords;
  readonly store: OperationStore;
  readonly fence: Fence;
  readonly view: NodeView;
}

interface Answer {
  operation: Operation | undefined;
  commands: HostCommand[];
}

const TITLES = { start: 'start', shutdown: 'shut down', stop: 'stop', destroy: 'destroy' } as const;

/** Containers: list, create, run, end, enter; only translation. */
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
    createContainer: ({ order, vmid, guestUid, spec }) => {
      if (spec === undefined) throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'spec: it is missing' });
      return create(parts, { vmid, guestUid, spec }, order);
    },
    startContainer: ({ order, vmid, guestUid, readiness }) =>
      verb(parts, { verb: 'start', vmid, guestUid, readiness }, order),
    shutdownContainer: ({ order, ...request }) => verb(parts, { verb: 'shutdown', ...request }, order),
    stopContainer: ({ order, ...request }) => verb(parts, { verb: 'stop', ...request }, order),
    destroyContainer: ({ order, ...request }) => verb(parts, { verb: 'destroy', ...request }, order),
    execContainer: (messages, context, write) => execContainer(parts.guests, { messages, context, write }),
  };
}

async function create(parts: GuestServiceParts, request: CreateRequest, order: Order | undefined): Promise<Answer> {
  const known = knownOperation(parts, order);
  if (known !== undefined) return { operation: known, commands: [] };
  checkCreateRequest(request);
  if (order?.dryRun === true) return { operation: undefined, commands: await previewCreate(parts.guests, request) };
  await parts.fence.check(`vmid:${request.vmid}`, order);
  const { vmid, guestUid, spec } = request;
  const finish = spec.protection || spec.mounts.some((mount) => mount.source?.$case !== 'volume');
  const operation = await parts.store.start(
    {
      kind: 'container.create',
      title: `create container ${vmid} (${spec.name})`,
      vmid,
      keys: [`vmid:${vmid}`],
      order,
      params: { vmid, guestUid, finish, actor: order?.actor ?? '' },
    },
    async (work) => {
      await createContainer(parts.guests, request, work);
      if (spec.source?.$case !== 'image') return;
      const { reference, digest } = spec.source.value;
      await parts.records.put(guestUid, { imageReference: reference, imageDigest: digest });
    },
  );
  return { operation, commands: [] };
}

async function verb(parts: GuestServiceParts, request: VerbRequest, order: Order | undefined): Promise<Answer> {
  const known = knownOperation(parts, order);
  if (known !== undefined) return { operation: known, commands: [] };
  const { vmid, guestUid } = request;
  if (order?.dryRun === true) return { operation: undefined, commands: previewVerb(parts.guests, request) };
  await parts.fence.check(`vmid:${vmid}`, order);
  // What is plainly impossible is refused at once; the body looks again when its turn comes.
  if (!parts.store.isBusy(`vmid:${vmid}`)) checkVerb(parts.guests, request);
  const operation = await parts.store.start(
    {
      kind: `container.${request.verb}`,
      title: `${TITLES[request.verb]} container ${vmid}`,
      vmid,
      keys: [`vmid:${vmid}`],
      order,
      params: { vmid, guestUid, actor: order?.actor ?? '' },
    },
    async (work) => {
      await carryOutVerb(parts.guests, request, work);
      if (request.verb === 'destroy') await parts.records.forget(guestUid);
    },
  );
  return { operation, commands: [] };
}

/** A repeated order is answered before fence and checks: its work has begun, or is done. */
function knownOperation(parts: GuestServiceParts, order: Order | undefined): Operation | undefined {
  if (order === undefined || order.idempotencyKey === '' || order.dryRun) return undefined;
  return parts.store.findByKey(order.idempotencyKey);
}
