/** Small questions that several commands ask the controller. */
import type { ContainerDocument, InventoryObject } from '@pxmgr/contract/common';
import { InventoryServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../client.ts';
import type { Context } from '../context.ts';

const PAGE_SIZE = 1000;

export interface Inventory {
  readonly objects: readonly InventoryObject[];
  readonly staleNodes: readonly string[];
}

/** All objects of a kind, page by page. */
export async function fetchInventory(context: Context, kind: string, node: string): Promise<Inventory> {
  const objects: InventoryObject[] = [];
  const stale = new Set<string>();
  let pageToken = '';
  do {
    const page = await controllerOf(context).ask(InventoryServiceClient, 'listInventory', {
      kind,
      node,
      pageSize: PAGE_SIZE,
      pageToken,
    });
    objects.push(...page.objects);
    for (const name of page.staleNodes) stale.add(name);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return { objects, staleNodes: [...stale] };
}

export function staleNote(inventory: Inventory): readonly string[] {
  if (inventory.staleNodes.length === 0) return [];
  return [`not heard of lately, data may be old: ${inventory.staleNodes.join(', ')}`];
}

export interface Wanted {
  readonly kind: string;
  /** Id or name. */
  readonly key: string;
  /** Empty = the only one in the fleet. */
  readonly node: string;
}

/** One object by id or name. */
export async function fetchObject(context: Context, wanted: Wanted): Promise<InventoryObject> {
  const { object } = await controllerOf(context).ask(InventoryServiceClient, 'getInventory', wanted);
  if (object === undefined) throw new PxmError('PXM_OBJECT_NOT_FOUND', { kind: wanted.kind, key: wanted.key });
  return object;
}

export interface FoundContainer {
  readonly object: InventoryObject;
  readonly container: ContainerDocument;
}

/** One container by vmid or name. */
export async function fetchContainer(context: Context, key: string, node: string): Promise<FoundContainer> {
  const object = await fetchObject(context, { kind: 'container', key, node });
  const document = object.document?.document;
  if (document?.$case !== 'container') throw new PxmError('PXM_OBJECT_NOT_FOUND', { kind: 'container', key });
  return { object, container: document.value };
}
