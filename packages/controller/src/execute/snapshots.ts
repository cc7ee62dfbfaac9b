/** The fleet as the scheduler reads it: one snapshot per node, built anew only when something of the node changed. */

import type { InventoryKind } from '@pxmgr/contract';
import type { InventoryObject } from '@pxmgr/contract/common';
import type { FleetView } from '../domain/fleet-view.ts';
import type { NodeState } from '../domain/node-state.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { buildNodeSnapshot } from '../domain/snapshot-build.ts';

/** Kinds that decide something about placement; the node's own document comes with its state. */
const KINDS: readonly InventoryKind[] = [
  'container',
  'vm',
  'storage',
  'dataset',
  'template',
  'image',
  'gpu',
  'usb',
  'network',
];

interface Entry {
  readonly state: NodeState;
  readonly snapshot: NodeSnapshot;
}

export class Snapshots {
  readonly #view: FleetView;
  readonly #entries = new Map<string, Entry>();
  readonly #stop: () => void;

  constructor(view: FleetView) {
    this.#view = view;
    this.#stop = view.watch(({ object }) => this.#entries.delete(object.nodeUid));
  }

  /** All nodes of the fleet, by name. The snapshots are immutable and may be kept. */
  nodes(): readonly NodeSnapshot[] {
    return this.#view.nodes().map((state) => this.#of(state));
  }

  /** By name or uid. */
  node(key: string): NodeSnapshot | undefined {
    const state = this.#view.node(key);
    return state === undefined ? undefined : this.#of(state);
  }

  /** True when a guest of the fleet has the vmid. */
  hasGuest(vmid: number): boolean {
    return this.#view.guestsByVmid(vmid).length > 0;
  }

  close(): void {
    this.#stop();
  }

  #of(state: NodeState): NodeSnapshot {
    const known = this.#entries.get(state.uid);
    if (known !== undefined && isSame(known.state, state)) return known.snapshot;
    const snapshot = buildNodeSnapshot(state, this.#objects(state.uid));
    this.#entries.set(state.uid, { state, snapshot });
    return snapshot;
  }

  #objects(nodeUid: string): InventoryObject[] {
    return KINDS.flatMap((kind) => this.#view.objects(kind, nodeUid));
  }
}

/** A new document of the node itself comes as an event, like any other object. */
function isSame(a: NodeState, b: NodeState): boolean {
  return a.presence === b.presence && a.name === b.name;
}
