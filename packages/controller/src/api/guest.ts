import {
  type ExecContainerRequest,
  GuestServiceClient,
  ImageServiceClient,
  type ResolveImageResponse,
} from '@pxmgr/contract/agent';
import type {
  ExecGuestRequest,
  ExecGuestResponse,
  ExecGuestStart,
  GuestServiceService,
  InspectImageRequest,
  InspectImageResponse,
} from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import type { BidiCall } from '@pxmgr/kit/rpc/channel';
import type { CallContext, Implementation, Write } from '@pxmgr/kit/rpc/handlers';
import { identityText } from '@pxmgr/kit/rpc/identity';
import type { FleetView } from '../domain/fleet-view.ts';
import type { NodeState } from '../domain/node-state.ts';
import type { Dialer } from '../fleet/dial.ts';
import type { Auditor } from './audit.ts';

export interface GuestParts {
  readonly view: FleetView;
  readonly dialer: Dialer;
  readonly auditor: Auditor;
}

const INSPECT_MS = 60_000;

/** Calls that pass through to the agent of the guest's node. */
export function guestService(parts: GuestParts): Implementation<typeof GuestServiceService> {
  return {
    execGuest: async (messages, context, write) => {
      await exec(parts, messages, { context, write });
    },
    inspectImage: async (request, context) => await inspect(parts, request, context),
  };
}

interface Caller {
  readonly context: CallContext;
  readonly write: Write<ExecGuestResponse>;
}

async function exec(parts: GuestParts, messages: AsyncIterable<ExecGuestRequest>, caller: Caller): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  const what = { method: 'GuestService/ExecGuest', target: guestIn(first) };
  const end = parts.auditor.begin(caller.context.identity, what);
  try {
    const start = startOf(first);
    const status = await passThrough(parts, { start, iterator }, caller);
    end(status === 0 ? 'OK' : `EXIT ${String(status)}`);
  } catch (error) {
    end(toPxmError(error).code);
    throw error;
  }
}

interface Incoming {
  readonly start: ExecGuestStart;
  readonly iterator: AsyncIterator<ExecGuestRequest>;
}

/** The exit status of the command. */
async function passThrough(
  { view, dialer }: GuestParts,
  { start, iterator }: Incoming,
  { context, write }: Caller,
): Promise<number> {
  const container = view.container({ key: start.guest?.key ?? '', node: start.guest?.node });
  const channel = dialer.channel(container.nodeUid);
  const { signal, traceId, identity } = context;
  const call = channel.callBidi(channel.client(GuestServiceClient), 'execContainer', { signal, traceId });
  const order = { argv: [], env: [], timeoutSeconds: 0, ...start.exec };
  const value = { ...order, vmid: Number(container.id), actor: identityText(identity) };
  await call.write({ request: { $case: 'start', value } });
  // The command may end while its standard input is still open: the answers decide, not the input.
  void forward(iterator, call).catch(() => {
    call.end();
  });
  let status = 0;
  for await (const message of call.messages) {
    if (message.response?.$case === 'exitCode') status = message.response.value;
    await write(message);
  }
  return status;
}

function guestIn(first: IteratorResult<ExecGuestRequest>): string {
  const request = first.done === true ? undefined : first.value.request;
  return request?.$case === 'start' ? (request.value.guest?.key ?? '') : '';
}

function startOf(first: IteratorResult<ExecGuestRequest>): ExecGuestStart {
  const request = first.done === true ? undefined : first.value.request;
  if (request?.$case === 'start') return request.value;
  throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'the first message must say what to run' });
}

async function forward(
  iterator: AsyncIterator<ExecGuestRequest>,
  call: BidiCall<ExecContainerRequest, unknown>,
): Promise<void> {
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    const { request } = next.value;
    if (request?.$case === 'stdin') await call.write({ request });
    if (request?.$case === 'stdinClosed') await call.write({ request });
  }
  call.end();
}

async function inspect(
  { view, dialer }: GuestParts,
  request: InspectImageRequest,
  context: CallContext,
): Promise<InspectImageResponse> {
  const node = inspectingNode(view, request.node);
  const image: ResolveImageResponse = await dialer.reach(
    node.uid,
    async (channel) =>
      await channel.call(
        channel.client(ImageServiceClient),
        'resolveImage',
        { reference: request.reference, platform: request.platform },
        { deadlineMs: INSPECT_MS, signal: context.signal, traceId: context.traceId },
      ),
  );
  return { image, nodeName: node.name };
}

/** The node asked for, or the first that is up and can pull images. */
function inspectingNode(view: FleetView, key: string): NodeState {
  if (key !== '') {
    const node = view.node(key);
    if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
    return node;
  }
  const up = view.nodes().filter((node) => node.presence === 'up');
  const able = up.find((node) => node.document?.capabilities.includes('image.pull') === true) ?? up[0];
  if (able === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: '(any that is up)' });
  return able;
}
