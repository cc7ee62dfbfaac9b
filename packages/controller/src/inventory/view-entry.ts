import type { InventoryKind, Position } from '@pxmgr/contract';
import type { InventoryDocument, InventoryObject } from '@pxmgr/contract/common';
import type { GuestView } from '../domain/guest.ts';
import { guestViewOf } from '../domain/snapshot-build.ts';

export interface EntryKey {
  readonly nodeUid: string;
  readonly kind: InventoryKind;
  readonly id: string;
}

/** One object as it was committed. */
export interface ObjectState extends EntryKey {
  readonly hash: string;
  readonly observedAt: Date;
  readonly position: Position;
  readonly document: InventoryDocument;
}

/** One object in memory: a guest (the many) as decisions need it, anything else as its whole document. */
export interface ViewEntry extends EntryKey {
  readonly document: InventoryDocument | undefined;
  readonly guest: GuestView | undefined;
}

/** `shared` gives one string for equal ones: a hundred thousand guests have few states, images and nodes. */
export function toEntry(
  { nodeUid, kind, id }: EntryKey,
  document: InventoryDocument,
  shared: (text: string) => string,
): ViewEntry {
  const guest = guestViewOf(document, shared);
  return {
    nodeUid: shared(nodeUid),
    kind: shared(kind) as InventoryKind,
    id,
    document: guest === undefined ? document : undefined,
    guest,
  };
}

export function toInventoryObject(state: ObjectState, nodeName: string): InventoryObject {
  const { nodeUid, kind, id, hash, observedAt, position, document } = state;
  const { generation, revision } = position;
  return { kind, id, nodeUid, nodeName, generation, revision, observedAt, hash, document };
}
