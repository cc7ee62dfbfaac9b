import type { InventoryKind, Position } from '@pxmgr/contract';
import { isInventoryKind } from '@pxmgr/contract';
import type { InventoryDocument, InventoryObject } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { ViewEntry } from '../event/view.ts';

/** What the services need of the outward half: the node's view and where it stands. */
export interface NodeView {
  readonly nodeUid: string;
  readonly nodeName: string;
  readonly position: () => Position;
  readonly objects: (kinds: readonly InventoryKind[]) => readonly ViewEntry[];
  /** Kinds that were read as a whole. */
  readonly knownKinds: () => InventoryKind[];
  /** Publishes the kinds anew; gives how many objects. */
  readonly resync: (kinds: readonly InventoryKind[]) => number;
}

type Document = NonNullable<InventoryDocument['document']>;
type ValueOf<K extends Document['$case']> = Extract<Document, { $case: K }>['value'];

/** All documents of one kind, unpacked. PXM_INVENTORY_UNREAD before the first look: nothing found would read as nothing there. */
export function documentsOf<K extends Document['$case']>(view: NodeView, kind: K): ValueOf<K>[] {
  if (!view.knownKinds().includes(kind)) throw new PxmError('PXM_INVENTORY_UNREAD', { node: view.nodeName, kind });
  return view.objects([kind]).flatMap(({ document }) => {
    const inner = document.document;
    return inner?.$case === kind ? [inner.value as ValueOf<K>] : [];
  });
}

export function toInventoryObject(view: NodeView, entry: ViewEntry): InventoryObject {
  const { generation, revision } = entry.position ?? { generation: view.position().generation, revision: 0n };
  const { kind, id, observedAt, hash, document } = entry;
  return { kind, id, nodeUid: view.nodeUid, nodeName: view.nodeName, generation, revision, observedAt, hash, document };
}

/** PXM_INPUT_INVALID names the kinds that do not exist. */
export function readKinds(kinds: readonly string[]): InventoryKind[] {
  const unknown = kinds.filter((kind) => !isInventoryKind(kind));
  if (unknown.length === 0) return kinds.filter(isInventoryKind);
  throw new PxmError('PXM_INPUT_INVALID', {
    count: String(unknown.length),
    problems: `no such kind: ${unknown.join(', ')}`,
  });
}
