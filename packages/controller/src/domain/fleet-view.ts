import type { InventoryKind } from '@pxmgr/contract';
import type { InventoryDocument, InventoryObject } from '@pxmgr/contract/common';
import type { GuestKeyInput, GuestSummary, GuestView } from './guest.ts';
import type { NodeState } from './node-state.ts';

export type ViewAction = 'created' | 'updated' | 'deleted';

/** A committed difference. A deleted object carries the last known document. */
export interface ViewEvent {
  readonly action: ViewAction;
  readonly object: InventoryObject;
}

export type ViewListener = (event: ViewEvent) => void;

/** What is on a node. */
export interface NodeContents {
  readonly guests: readonly GuestView[];
  /** Everything else; the document of the node itself comes with its state. */
  readonly documents: readonly InventoryDocument[];
}

/**
 * The fleet as last observed: read side of the inventory, for rooms that may not import it (execute) and for api.
 * Nodes, guests and contents come from memory. Objects are read and decoded when asked for: keep the results, not the
 * calls, in a loop.
 */
export interface FleetView {
  /** Another number than before when a node joined, left or changed its presence. What nodes consist of is told by `watch`. */
  readonly revision: number;
  /** Nodes of the fleet, revoked ones left out, sorted by name. */
  nodes(): readonly NodeState[];
  /** By name or uid. */
  node(key: string): NodeState | undefined;
  /** Objects of a kind, sorted by node name, then id (numbers as numbers). */
  objects(kind: InventoryKind, nodeUid?: string): readonly InventoryObject[];
  object(nodeUid: string, kind: InventoryKind, id: string): InventoryObject | undefined;
  /** Sorted by kind and id; guests by vmid. */
  contents(nodeUid: string): NodeContents;
  /** Containers and VMs, cheap. */
  guests(nodeUid?: string): readonly GuestSummary[];
  /** Containers and VMs that have this vmid, on any node. */
  guestsByVmid(vmid: number): readonly GuestSummary[];
  /** One container by vmid or name. Throws PXM_GUEST_NOT_FOUND, PXM_GUEST_AMBIGUOUS, PXM_NODE_NOT_FOUND. */
  container(key: GuestKeyInput): InventoryObject;
  /** Called after each commit, in commit order. A listener must not throw. Returns the way out. */
  watch(listener: ViewListener): () => void;
}
