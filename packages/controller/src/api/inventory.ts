import { INVENTORY_KINDS, type InventoryKind, isInventoryKind, limits } from '@pxmgr/contract';
import type {
  InventoryServiceService,
  ListInventoryRequest,
  ListInventoryResponse,
  WatchInventoryRequest,
  WatchInventoryResponse,
} from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { CallContext, Implementation, Write } from '@pxmgr/kit/rpc/handlers';
import type { NodeState } from '../domain/node-state.ts';
import { findObject } from '../inventory/find.ts';
import type { View } from '../inventory/view.ts';
import { Feed } from './feed.ts';

/** Answers from the view in memory. */
export function inventoryService(view: View): Implementation<typeof InventoryServiceService> {
  return {
    listInventory: async (request) => await Promise.resolve(list(view, request)),
    getInventory: async (request) =>
      await Promise.resolve({
        object: findObject(view, { kind: kindOf(request.kind), key: request.key, node: request.node }),
      }),
    watchInventory: async (request, context, write) => {
      await watch(view, request, { context, write });
    },
  };
}

function list(view: View, request: ListInventoryRequest): ListInventoryResponse {
  const kind = kindOf(request.kind);
  const node = nodeOf(view, request.node);
  const size = Math.min(request.pageSize || limits.PAGE_SIZE_DEFAULT, limits.PAGE_SIZE_MAX);
  const objects: ListInventoryResponse['objects'] = [];
  let nextPageToken = '';
  for (const object of view.iterate(kind, node?.uid, readPageToken(request.pageToken))) {
    const last = objects.at(-1);
    if (objects.length === size && last !== undefined) {
      nextPageToken = formatPageToken(last.nodeName, last.id);
      break;
    }
    objects.push(object);
  }
  return { objects, nextPageToken, staleNodes: staleNodes(view, node) };
}

/** Nodes whose data may be old: not up, but heard of before. */
function staleNodes(view: View, only: NodeState | undefined): string[] {
  const nodes = only === undefined ? view.nodes() : [only];
  return nodes.filter((node) => node.presence === 'suspect' || node.presence === 'down').map((node) => node.name);
}

function kindOf(text: string): InventoryKind {
  if (isInventoryKind(text)) return text;
  throw new PxmError('PXM_INPUT_INVALID', {
    count: '1',
    problems: `kind "${text}" is not one of ${INVENTORY_KINDS.join(', ')}`,
  });
}

function nodeOf(view: View, key: string): NodeState | undefined {
  if (key === '') return undefined;
  const node = view.node(key);
  if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
  return node;
}

function formatPageToken(nodeName: string, id: string): string {
  return Buffer.from(JSON.stringify([nodeName, id])).toString('base64url');
}

function readPageToken(text: string): { nodeName: string; id: string } | undefined {
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'string')
      return { nodeName: value[0], id: value[1] };
  } catch {
    // Falls through: the token is not one of ours.
  }
  throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'page_token is not one that this service gave' });
}

interface Watching {
  readonly context: CallContext;
  readonly write: Write<WatchInventoryResponse>;
}

async function watch(view: View, request: WatchInventoryRequest, { context, write }: Watching): Promise<void> {
  const kinds = request.kinds.length === 0 ? INVENTORY_KINDS : request.kinds.map(kindOf);
  const node = nodeOf(view, request.node);
  const feed = new Feed<WatchInventoryResponse>(context.signal);
  const stop = view.watch((event) => {
    const { object } = event;
    if (!kinds.includes(object.kind as InventoryKind) || (node !== undefined && object.nodeUid !== node.uid)) return;
    feed.push({ action: event.action, object });
  });
  try {
    if (request.sendCurrent) {
      for (const kind of kinds)
        for (const object of view.iterate(kind, node?.uid)) await write({ action: 'current', object });
    }
    for await (const message of feed) await write(message);
  } finally {
    stop();
  }
}
