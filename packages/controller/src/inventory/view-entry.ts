import type { InventoryKind, Position } from '@pxmgr/contract';
import { InventoryDocument, type InventoryObject } from '@pxmgr/contract/common';
import type { GuestSummary } from '../domain/guest.ts';

/** One object in memory. Guests (the many) keep only bytes and a summary; everything else keeps its document too. */
export interface ViewEntry {
  readonly nodeUid: string;
  readonly kind: InventoryKind;
  readonly id: string;
  readonly hash: string;
  readonly observedMs: number;
  position: Position;
  readonly bytes: Uint8Array;
  readonly document: InventoryDocument | undefined;
  readonly guest: Omit<GuestSummary, 'nodeName'> | undefined;
}

export interface EntrySource {
  readonly nodeUid: string;
  readonly kind: InventoryKind;
  readonly id: string;
  readonly hash: string;
  readonly observedAt: Date;
  readonly position: Position;
  readonly bytes: Uint8Array;
  /** When the caller has it decoded already. */
  readonly document?: InventoryDocument | undefined;
}

export function toEntry(source: EntrySource): ViewEntry {
  const document = source.document ?? InventoryDocument.decode(source.bytes);
  const guest = guestOf(source.nodeUid, document);
  return {
    nodeUid: source.nodeUid,
    kind: source.kind,
    id: source.id,
    hash: source.hash,
    observedMs: source.observedAt.getTime(),
    position: source.position,
    bytes: source.bytes,
    document: guest === undefined ? document : undefined,
    guest,
  };
}

export function documentOf(entry: ViewEntry): InventoryDocument {
  return entry.document ?? InventoryDocument.decode(entry.bytes);
}

export function toInventoryObject(entry: ViewEntry, nodeName: string): InventoryObject {
  return {
    kind: entry.kind,
    id: entry.id,
    nodeUid: entry.nodeUid,
    nodeName,
    generation: entry.position.generation,
    revision: entry.position.revision,
    observedAt: new Date(entry.observedMs),
    hash: entry.hash,
    document: documentOf(entry),
  };
}

function guestOf(nodeUid: string, document: InventoryDocument): Omit<GuestSummary, 'nodeName'> | undefined {
  const inner = document.document;
  if (inner?.$case === 'container') {
    const { vmid, name, status, guestUid, cores, memoryBytes, template } = inner.value;
    return { kind: 'container', nodeUid, vmid, name, status, guestUid, cores, memoryBytes, template };
  }
  if (inner?.$case === 'vm') {
    const { vmid, name, status, cores, memoryBytes, template } = inner.value;
    return { kind: 'vm', nodeUid, vmid, name, status, guestUid: '', cores, memoryBytes, template };
  }
  return undefined;
}
