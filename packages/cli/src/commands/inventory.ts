/** What the fleet has, asked of the controller: all objects of a kind, or one container. */
import { type InventoryKind, limits } from '@pxmgr/contract';
import type { ContainerDocument, InventoryDocument, InventoryObject } from '@pxmgr/contract/common';
import { InventoryServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { controllerOf } from '../client.ts';
import type { OptionDefinition } from '../command.ts';
import type { Context } from '../context.ts';

export const ONE_NODE_OPTION = {
  kind: 'text',
  flag: 'node',
  value: 'NODE',
  help: 'this node only',
  complete: 'node',
} as const satisfies OptionDefinition;

type AnyDocument = NonNullable<InventoryDocument['document']>;

export interface Found<Kind extends InventoryKind> {
  /** Where and when it was seen. */
  readonly object: InventoryObject;
  readonly document: Extract<AnyDocument, { readonly $case: Kind }>['value'];
}

export interface Inventory<Kind extends InventoryKind> {
  readonly found: readonly Found<Kind>[];
  /** Nodes that were not heard of lately. */
  readonly staleNodes: readonly string[];
}

function foundAs<Kind extends InventoryKind>(object: InventoryObject, kind: Kind): Found<Kind>[] {
  const document = object.document?.document;
  return document?.$case === kind ? [{ object, document: document.value as Found<Kind>['document'] }] : [];
}

/** All objects of a kind, page by page; of one node when it is named. */
export async function fetchInventory<Kind extends InventoryKind>(
  context: Context,
  kind: Kind,
  node = '',
): Promise<Inventory<Kind>> {
  const found: Found<Kind>[] = [];
  const stale = new Set<string>();
  let pageToken = '';
  do {
    const page = await controllerOf(context).ask(InventoryServiceClient, 'listInventory', {
      kind,
      node,
      pageSize: limits.PAGE_SIZE_DEFAULT,
      pageToken,
    });
    found.push(...page.objects.flatMap((object) => foundAs(object, kind)));
    for (const name of page.staleNodes) stale.add(name);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return { found, staleNodes: [...stale] };
}

export function staleNote({ staleNodes }: Pick<Inventory<InventoryKind>, 'staleNodes'>): readonly string[] {
  return staleNodes.length === 0 ? [] : [`not heard of lately, data may be old: ${staleNodes.join(', ')}`];
}

export interface FoundContainer {
  readonly object: InventoryObject;
  readonly container: ContainerDocument;
}

/** By vmid or name; with an empty node it must be the only one in the fleet. */
export async function fetchContainer(context: Context, key: string, node: string): Promise<FoundContainer> {
  const wanted = { kind: 'container', key, node };
  const { object } = await controllerOf(context).ask(InventoryServiceClient, 'getInventory', wanted);
  const found = object === undefined ? undefined : foundAs(object, 'container')[0];
  if (found === undefined) throw new PxmError('PXM_OBJECT_NOT_FOUND', { kind: 'container', key });
  return { object: found.object, container: found.document };
}
