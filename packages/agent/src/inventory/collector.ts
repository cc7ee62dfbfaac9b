/**
 * inventory/: this node as documents. One collector per kind turns what the lower rooms read into the documents of
 * contract/inventory; mapping is pure, reading is theirs. A collector that cannot read throws: its caller keeps the
 * last known objects and reports the failure in the node document. The room never publishes and remembers nothing
 * but what spares work. It may call guest, image, device, zfs and host.
 */
import type { InventoryKind } from '@pxmgr/contract';
import type { InventoryDocument } from '@pxmgr/contract/common';

/** One object as it was seen. */
export interface Observed {
  /** Unique within the kind. */
  readonly id: string;
  readonly document: InventoryDocument;
}

export interface Collector {
  readonly kind: InventoryKind;
  /** All objects of the kind, sorted by id. */
  collect(): Promise<readonly Observed[]>;
}
