/** AgentDoor over gRPC. Knows nothing of addresses and certificates: it is given lines to agents. */
import { GuestServiceClient, ImageServiceClient, OperationServiceClient } from '@pxmgr/contract/agent';
import type { Operation } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Channel } from '@pxmgr/kit/rpc/channel';
import type { Accepted, AgentDoor, CallOptions } from '../plan/agent-door.ts';

/** The part of the dialer that execution needs; nodes by uid. */
export interface AgentLines {
  /** One exchange; see Dialer.reach. */
  reach<T>(nodeUid: string, use: (channel: Channel) => Promise<T>): Promise<T>;
  /** For streams. */
  channel(nodeUid: string): Channel;
}

/** An order is answered when it is in the agent's journal, which takes a disk flush; a dry run asks some tools. */
const ORDER_MS = 30_000;
const LOOK_MS = 15_000;
/** A registry may be slow. */
const RESOLVE_MS = 60_000;

type Send<Client extends object> = (client: Client, channel: Channel) => Promise<Accepted>;

export function createGrpcAgents(lines: AgentLines): AgentDoor {
  const guest = (uid: string, send: Send<GuestServiceClient>): Promise<Accepted> =>
    lines.reach(uid, (channel) => send(channel.client(GuestServiceClient), channel));
  const options = { deadlineMs: ORDER_MS };
  return {
    resolveImage: (uid, request, { signal }: CallOptions = {}) =>
      lines.reach(uid, (channel) => {
        const call = { deadlineMs: RESOLVE_MS, ...(signal === undefined ? {} : { signal }) };
        return channel.call(channel.client(ImageServiceClient), 'resolveImage', request, call);
      }),
    pullImage: (uid, request) =>
      lines.reach(uid, (channel) => channel.call(channel.client(ImageServiceClient), 'pullImage', request, options)),
    createContainer: (uid, request) =>
      guest(uid, (client, channel) => channel.call(client, 'createContainer', request, options)),
    cloneContainer: (uid, request) =>
      guest(uid, (client, channel) => channel.call(client, 'cloneContainer', request, options)),
    startContainer: (uid, request) =>
      guest(uid, (client, channel) => channel.call(client, 'startContainer', request, options)),
    shutdownContainer: (uid, request) =>
      guest(uid, (client, channel) => channel.call(client, 'shutdownContainer', request, options)),
    stopContainer: (uid, request) =>
      guest(uid, (client, channel) => channel.call(client, 'stopContainer', request, options)),
    destroyContainer: (uid, request) =>
      guest(uid, (client, channel) => channel.call(client, 'destroyContainer', request, options)),
    changeContainer: (uid, request) =>
      guest(uid, (client, channel) => channel.call(client, 'changeContainer', request, options)),
    getGuest: (uid, vmid) =>
      lines.reach(uid, async (channel) => {
        const { container } = await channel.call(
          channel.client(GuestServiceClient),
          'getGuest',
          { vmid },
          { deadlineMs: LOOK_MS },
        );
        if (container === undefined) throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: String(vmid), where: '' });
        return container;
      }),
    ...operationCalls(lines),
  };
}

function operationCalls(lines: AgentLines): Pick<AgentDoor, 'getOperation' | 'watchOperation' | 'cancelOperation'> {
  const options = { deadlineMs: LOOK_MS };
  return {
    getOperation: (uid, request) =>
      lines.reach(uid, async (channel) =>
        named(await channel.call(channel.client(OperationServiceClient), 'getOperation', request, options)),
      ),
    cancelOperation: (uid, id, actor) =>
      lines.reach(uid, async (channel) =>
        named(await channel.call(channel.client(OperationServiceClient), 'cancelOperation', { id, actor }, options)),
      ),
    async *watchOperation(uid, id, { afterSeq, signal }) {
      const channel = lines.channel(uid);
      const client = channel.client(OperationServiceClient);
      for await (const { event } of channel.callStream(client, 'watchOperation', { id, afterSeq }, { signal })) {
        if (event !== undefined) yield event;
      }
    },
  };
}

function named({ operation }: { operation: Operation | undefined }): Operation {
  if (operation === undefined)
    throw new PxmError('PXM_INTERNAL', {}, { detail: 'the agent answered without an operation' });
  return operation;
}
