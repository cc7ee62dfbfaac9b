/**
 * The fleet as decisions read it: columns that follow the snapshots and the reservations. `refresh` once per group of
 * decisions looks at all nodes, `settle` before each decision only at what the one before has changed.
 */
import type { PlacementPolicy } from '../domain/placement.ts';
import {
  type Claim,
  type Holdings,
  isNothing,
  isObserved,
  NO_HOLDINGS,
  outstanding,
  type ReservationRecord,
  sumHoldings,
  withClaim,
} from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { Columns } from '../schedule/columns.ts';
import type { ActiveClaims, ClaimListener } from '../store/active-claims.ts';
import type { ReservationStore } from '../store/reservations.ts';
import type { Snapshots } from './snapshots.ts';

/** Slots that differ from what was last taken note of; `everything` when the fleet has other nodes now. */
export interface FieldChanges {
  readonly everything: boolean;
  readonly nodes: ReadonlySet<number>;
  readonly held: ReadonlySet<number>;
}

export interface FieldParts {
  readonly snapshots: Snapshots;
  readonly reservations: ReservationStore;
  readonly policy: PlacementPolicy;
}

export class Field implements ClaimListener {
  readonly #parts: FieldParts;
  readonly #slots = new Map<string, number>();
  readonly #clusters = new Map<string, number[]>();
  /** Per slot: its promises on shared storages. */
  readonly #shared: Claim[][] = [];
  readonly #unsettled = new Set<number>();
  #columns: Columns;
  #seen: readonly NodeSnapshot[] = [];
  #everything = true;
  #changedNodes = new Set<number>();
  #changedHeld = new Set<number>();

  constructor(parts: FieldParts) {
    this.#parts = parts;
    this.#columns = new Columns([], [], parts.policy);
    parts.reservations.listen(this);
  }

  refresh(): Columns {
    this.#parts.reservations.claims();
    const nodes = this.#parts.snapshots.nodes();
    if (nodes === this.#seen) return this.settle();
    this.#seen = nodes;
    const old = this.#columns.nodes;
    if (nodes.length !== old.length || nodes.some((node, slot) => !isSameNode(node, old[slot]))) this.#rebuild(nodes);
    else
      nodes.forEach((node, slot) => {
        if (node === old[slot]) return;
        this.#columns.setNode(slot, node);
        this.#changedNodes.add(slot);
        this.#unsettled.add(slot);
      });
    return this.settle();
  }

  settle(): Columns {
    const claims = this.#parts.reservations.claims();
    for (const slot of [...this.#unsettled])
      if (this.#share(slot, claims)) for (const mate of this.#mates(slot)) this.#unsettled.add(mate);
    for (const slot of this.#unsettled) {
      const held = this.#heldOn(slot, claims);
      if (held === NO_HOLDINGS && this.#columns.held.get(slot) === NO_HOLDINGS) continue;
      this.#columns.setHeld(slot, held);
      this.#changedHeld.add(slot);
    }
    this.#unsettled.clear();
    return this.#columns;
  }

  /** What changed since the last call. */
  takeChanges(): FieldChanges {
    const taken = { everything: this.#everything, nodes: this.#changedNodes, held: this.#changedHeld };
    this.#everything = false;
    if (this.#changedNodes.size > 0) this.#changedNodes = new Set();
    if (this.#changedHeld.size > 0) this.#changedHeld = new Set();
    return taken;
  }

  /** Changes that were taken note of in vain. */
  giveBack({ everything, nodes, held }: FieldChanges): void {
    this.#everything ||= everything;
    for (const slot of nodes) this.#changedNodes.add(slot);
    for (const slot of held) this.#changedHeld.add(slot);
  }

  /** The usual case costs nothing: one more promise on a node where everything else is known. */
  added(record: ReservationRecord): void {
    const slot = this.#slots.get(record.nodeUid);
    const [node, held] = slot === undefined ? [] : [this.#columns.nodes[slot], this.#columns.held.get(slot)];
    if (slot === undefined || node === undefined || held === undefined || this.#unsettled.has(slot)) return;
    const isShared = record.pools.some((pool) => node.storages.get(pool.storage)?.shared === true);
    if (isShared || isObserved(record, node)) {
      this.#unsettled.add(slot);
      return;
    }
    this.#columns.setHeld(slot, withClaim(held, record));
    this.#changedHeld.add(slot);
  }

  changed(nodeUid: string): void {
    const slot = this.#slots.get(nodeUid);
    if (slot !== undefined) this.#unsettled.add(slot);
  }

  reset(): void {
    for (const slot of this.#slots.values()) this.#unsettled.add(slot);
  }

  #rebuild(nodes: readonly NodeSnapshot[]): void {
    this.#slots.clear();
    this.#shared.length = 0;
    this.#clusters.clear();
    nodes.forEach(({ uid, cluster }, slot) => {
      this.#slots.set(uid, slot);
      this.#shared[slot] = [];
      if (cluster === '') return;
      const mates = this.#clusters.get(cluster);
      if (mates === undefined) this.#clusters.set(cluster, [slot]);
      else mates.push(slot);
    });
    this.#columns = new Columns(
      nodes,
      nodes.map(() => NO_HOLDINGS),
      this.#parts.policy,
    );
    this.#everything = true;
    this.#unsettled.clear();
    this.reset();
  }

  #heldOn(slot: number, claims: ActiveClaims): Holdings {
    const node = this.#columns.nodes[slot];
    if (node === undefined) return NO_HOLDINGS;
    const promised: Claim[] = [];
    const settled = claims.settledOn(node.uid);
    for (const record of claims.ofNode(node.uid)) {
      const claim = outstanding(record, node);
      if (!isNothing(claim)) promised.push(claim);
    }
    for (const mate of this.#mates(slot)) if (mate !== slot) promised.push(...(this.#shared[mate] ?? []));
    return promised.length === 0 && settled.length === 0 ? NO_HOLDINGS : sumHoldings(promised, settled);
  }

  /** What is promised on a shared storage of one node is promised to its cluster. True when the mates must know. */
  #share(slot: number, claims: ActiveClaims): boolean {
    const node = this.#columns.nodes[slot];
    if (node === undefined || node.cluster === '') return false;
    const shared: Claim[] = [];
    for (const record of claims.ofNode(node.uid)) {
      const pools = record.pools.filter((pool) => node.storages.get(pool.storage)?.shared === true);
      if (pools.length > 0 && !isObserved(record, node))
        shared.push({ memoryBytes: 0, cpuCores: 0, pools, devices: [] });
    }
    const had = this.#shared[slot]?.length ?? 0;
    this.#shared[slot] = shared;
    return had > 0 || shared.length > 0;
  }

  #mates(slot: number): readonly number[] {
    return this.#clusters.get(this.#columns.nodes[slot]?.cluster ?? '') ?? [];
  }
}

function isSameNode(a: NodeSnapshot, b: NodeSnapshot | undefined): boolean {
  return a.uid === b?.uid && a.name === b.name && a.cluster === b.cluster;
}
