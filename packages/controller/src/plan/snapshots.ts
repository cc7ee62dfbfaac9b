/** The fleet as the scheduler reads it: one snapshot per node, built anew only when something of the node changed. */

import type { FleetView } from '../domain/fleet-view.ts';
import type { NodeState } from '../domain/node-state.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { buildNodeSnapshot } from '../domain/snapshot-build.ts';

interface Entry {
  readonly state: NodeState;
  readonly snapshot: NodeSnapshot;
}

export class Snapshots {
  readonly #view: FleetView;
  readonly #entries = new Map<string, Entry>();
  readonly #guestGone = new Set<(vmid: number) => void>();
  readonly #stop: () => void;
  /** All nodes by name, as of `#revision`; the nodes in `#stale` have news. */
  #list: readonly NodeSnapshot[] = [];
  #slots = new Map<string, number>();
  #revision = Number.NaN;
  readonly #stale = new Set<string>();

  constructor(view: FleetView) {
    this.#view = view;
    this.#stop = view.watch(({ action, object }) => {
      this.#entries.delete(object.nodeUid);
      this.#stale.add(object.nodeUid);
      if (action !== 'deleted' || (object.kind !== 'container' && object.kind !== 'vm')) return;
      for (const listener of this.#guestGone) listener(Number(object.id));
    });
  }

  /** All nodes of the fleet, by name. List and snapshots are immutable and may be kept; nothing new, the same list. */
  nodes(): readonly NodeSnapshot[] {
    if (this.#revision !== this.#view.revision) this.#readAll();
    else if (this.#stale.size > 0) this.#readStale();
    return this.#list;
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

  /** Told of each guest that left a node. */
  onGuestGone(listener: (vmid: number) => void): void {
    this.#guestGone.add(listener);
  }

  close(): void {
    this.#stop();
  }

  #readAll(): void {
    this.#revision = this.#view.revision;
    this.#list = this.#view.nodes().map((state) => this.#of(state));
    this.#slots = new Map(this.#list.map((node, slot) => [node.uid, slot]));
    this.#stale.clear();
  }

  #readStale(): void {
    const list = [...this.#list];
    for (const uid of this.#stale) {
      const slot = this.#slots.get(uid);
      const state = this.#view.node(uid);
      if (slot !== undefined && state !== undefined) list[slot] = this.#of(state);
    }
    this.#list = list;
    this.#stale.clear();
  }

  #of(state: NodeState): NodeSnapshot {
    const known = this.#entries.get(state.uid);
    if (known !== undefined && isSame(known.state, state)) return known.snapshot;
    const snapshot = buildNodeSnapshot(state, this.#view.contents(state.uid));
    this.#entries.set(state.uid, { state, snapshot });
    return snapshot;
  }
}

/** A new document of the node itself comes as an event, like any other object. */
function isSame(a: NodeState, b: NodeState): boolean {
  return a.presence === b.presence && a.name === b.name;
}
