/** What differs between the view and what was seen. Pure. */
import type { InventoryKind } from '@pxmgr/contract';
import { hashDocument } from '@pxmgr/contract';
import type { InventoryDocument } from '@pxmgr/contract/common';
import type { Observed } from '../inventory/collector.ts';

/** `document` is undefined when the object is gone. */
export interface ObjectChange {
  readonly kind: InventoryKind;
  readonly id: string;
  readonly document: InventoryDocument | undefined;
  /** Empty for an object that is gone. */
  readonly hash: string;
}

type KnownHashes = ReadonlyMap<string, { readonly hash: string }>;

/** The change of one object; undefined when it is as known. */
export function diffObject(
  key: { kind: InventoryKind; id: string },
  known: KnownHashes,
  found: Observed | undefined,
): ObjectChange | undefined {
  const before = known.get(key.id)?.hash;
  if (found === undefined) return before === undefined ? undefined : { ...key, document: undefined, hash: '' };
  const hash = hashDocument(found.document);
  return hash === before ? undefined : { ...key, document: found.document, hash };
}

/** All changes of a kind, given everything that is there now: new and changed ones in the order found, then those gone. */
export function diffKind(kind: InventoryKind, known: KnownHashes, found: readonly Observed[]): ObjectChange[] {
  const seen = new Set(found.map((object) => object.id));
  const changed = found.map((object) => diffObject({ kind, id: object.id }, known, object));
  const gone = [...known.keys()].filter((id) => !seen.has(id)).map((id) => diffObject({ kind, id }, known, undefined));
  return [...changed, ...gone].filter((change): change is ObjectChange => change !== undefined);
}
