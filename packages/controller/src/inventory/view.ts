/**
 * inventory/: the fleet as observed. Messages become rows and changes in one transaction, then the view in memory;
 * gaps and differences are repaired from the agents. It never invents: an object exists because its node said so.
 * May call store, fleet and bus; is read through domain/fleet-view.ts by everybody else.
 */
import type { InventoryKind, Position } from '@pxmgr/contract';
import type { InventoryObject, NodeDocument } from '@pxmgr/contract/common';
import type { FleetView, ViewAction, ViewListener } from '../domain/fleet-view.ts';
import type { GuestKeyInput, GuestSummary } from '../domain/guest.ts';
import type { NodeState } from '../domain/node-state.ts';
import type { KnownNode, Registry } from '../fleet/registry.ts';
import { findContainer } from './find.ts';
import type { MetricsBoard } from './metrics.ts';
import { documentOf, type EntrySource, toEntry, toInventoryObject, type ViewEntry } from './view-entry.ts';

/** A committed write, in the order of the transaction. */
export type ViewWrite =
  | { readonly action: 'created' | 'updated'; readonly source: EntrySource }
  | {
      readonly action: 'deleted';
      readonly key: { readonly nodeUid: string; readonly kind: InventoryKind; readonly id: string };
    }
  /** Same content, newer position. */
  | {
      readonly action: 'touched';
      readonly key: { readonly nodeUid: string; readonly kind: InventoryKind; readonly id: string };
      readonly position: Position;
    };

type Shelf = Map<string, ViewEntry>;
type NodeShelves = Map<InventoryKind, Shelf>;

/** Index of everything observed, in memory. Written only after COMMIT. */
export class View implements FleetView {
  readonly #registry: Registry;
  readonly #metrics: MetricsBoard;
  readonly #nodes = new Map<string, NodeShelves>();
  readonly #byVmid = new Map<number, Set<ViewEntry>>();
  readonly #listeners = new Set<ViewListener>();
  readonly #counts = new Map<InventoryKind, number>();

  constructor(registry: Registry, metrics: MetricsBoard) {
    this.#registry = registry;
    this.#metrics = metrics;
  }

  /** Fills an empty view at start; tells nobody. Objects of nodes that left are skipped. */
  load(sources: Iterable<EntrySource>): void {
    for (const source of sources) if (this.#registry.isMember(source.nodeUid)) this.#put(toEntry(source));
  }

  write(writes: readonly ViewWrite[]): void {
    for (const write of writes) {
      if (write.action === 'deleted') this.#remove(write.key);
      else if (write.action === 'touched') this.#touch(write.key, write.position);
      else this.#replace(write.action, write.source);
    }
  }

  /** Everything of a node that left; watchers see it go. */
  forget(nodeUid: string): void {
    const entries = [...(this.#nodes.get(nodeUid)?.values() ?? [])].flatMap((shelf) => [...shelf.values()]);
    for (const entry of entries) this.#remove(entry);
    this.#nodes.delete(nodeUid);
  }

  get revision(): number {
    return this.#registry.revision;
  }

  nodes(): readonly NodeState[] {
    return this.#registry.list().map((node) => this.#state(node));
  }

  node(key: string): NodeState | undefined {
    const node = this.#registry.find(key);
    return node === undefined ? undefined : this.#state(node);
  }

  objects(kind: InventoryKind, nodeUid?: string): readonly InventoryObject[] {
    return [...this.iterate(kind, nodeUid)];
  }

  /** Lazily, in the order of `objects`, from after the given place on. */
  *iterate(
    kind: InventoryKind,
    nodeUid?: string,
    after?: { readonly nodeName: string; readonly id: string },
  ): IterableIterator<InventoryObject> {
    for (const node of this.#members(nodeUid)) {
      if (after !== undefined && node.name < after.nodeName) continue;
      const limit = node.name === after?.nodeName ? after.id : undefined;
      yield* this.#shelfOf(node, kind, limit);
    }
  }

  #members(nodeUid: string | undefined): readonly KnownNode[] {
    if (nodeUid === undefined) return this.#registry.list();
    const node = this.#registry.find(nodeUid);
    return node?.uid === nodeUid ? [node] : [];
  }

  /** An object that goes while the caller pauses is left out. */
  *#shelfOf(node: KnownNode, kind: InventoryKind, afterId: string | undefined): IterableIterator<InventoryObject> {
    const shelf: Shelf = this.#nodes.get(node.uid)?.get(kind) ?? new Map<string, ViewEntry>();
    for (const id of [...shelf.keys()].sort(compareIds)) {
      const entry = afterId === undefined || compareIds(id, afterId) > 0 ? shelf.get(id) : undefined;
      if (entry !== undefined) yield toInventoryObject(entry, node.name);
    }
  }

  object(nodeUid: string, kind: InventoryKind, id: string): InventoryObject | undefined {
    const entry = this.#nodes.get(nodeUid)?.get(kind)?.get(id);
    return entry === undefined ? undefined : toInventoryObject(entry, this.#nameOf(nodeUid));
  }

  guests(nodeUid?: string): readonly GuestSummary[] {
    const found: GuestSummary[] = [];
    const uids = nodeUid === undefined ? this.#registry.list().map((node) => node.uid) : [nodeUid];
    for (const uid of uids) {
      for (const kind of ['container', 'vm'] as const) {
        for (const entry of this.#nodes.get(uid)?.get(kind)?.values() ?? [])
          if (entry.guest !== undefined) found.push({ ...entry.guest, nodeName: this.#nameOf(uid) });
      }
    }
    return found;
  }

  guestsByVmid(vmid: number): readonly GuestSummary[] {
    const found: GuestSummary[] = [];
    for (const entry of this.#byVmid.get(vmid) ?? [])
      if (entry.guest !== undefined) found.push({ ...entry.guest, nodeName: this.#nameOf(entry.nodeUid) });
    return found;
  }

  container(key: GuestKeyInput): InventoryObject {
    return findContainer(this, key);
  }

  watch(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Number of objects per kind. */
  counts(): ReadonlyMap<InventoryKind, number> {
    return this.#counts;
  }

  #state(node: KnownNode): NodeState {
    return {
      uid: node.uid,
      name: node.name,
      address: node.address,
      presence: node.presence,
      lastSeenAt: node.lastSeenAt,
      joinedAt: node.joinedAt,
      certificateExpiresAt: node.certificateExpiresAt,
      generation: node.generation,
      document: this.#nodeDocument(node.uid),
      metrics: this.#metrics.node(node.uid),
    };
  }

  #nodeDocument(uid: string): NodeDocument | undefined {
    for (const entry of this.#nodes.get(uid)?.get('node')?.values() ?? []) {
      const inner = documentOf(entry).document;
      if (inner?.$case === 'node') return inner.value;
    }
    return undefined;
  }

  #nameOf(uid: string): string {
    return this.#registry.nameOf(uid) ?? uid;
  }

  #replace(action: 'created' | 'updated', source: EntrySource): void {
    const entry = toEntry(source);
    this.#put(entry);
    this.#tell(action, entry);
  }

  #put(entry: ViewEntry): void {
    const shelves = getOrMake(this.#nodes, entry.nodeUid, () => new Map<InventoryKind, Shelf>());
    const shelf = getOrMake(shelves, entry.kind, () => new Map<string, ViewEntry>());
    const old = shelf.get(entry.id);
    if (old === undefined) this.#count(entry.kind, 1);
    else this.#unindex(old);
    shelf.set(entry.id, entry);
    if (entry.guest !== undefined) getOrMake(this.#byVmid, entry.guest.vmid, () => new Set<ViewEntry>()).add(entry);
  }

  #touch(key: { nodeUid: string; kind: InventoryKind; id: string }, position: Position): void {
    const entry = this.#nodes.get(key.nodeUid)?.get(key.kind)?.get(key.id);
    if (entry !== undefined) entry.position = position;
  }

  #remove(key: { nodeUid: string; kind: InventoryKind; id: string }): void {
    const shelf = this.#nodes.get(key.nodeUid)?.get(key.kind);
    const entry = shelf?.get(key.id);
    if (entry === undefined) return;
    shelf?.delete(key.id);
    this.#unindex(entry);
    this.#count(key.kind, -1);
    this.#tell('deleted', entry);
  }

  #unindex(entry: ViewEntry): void {
    if (entry.guest === undefined) return;
    const set = this.#byVmid.get(entry.guest.vmid);
    set?.delete(entry);
    if (set?.size === 0) this.#byVmid.delete(entry.guest.vmid);
  }

  #count(kind: InventoryKind, by: number): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + by);
  }

  #tell(action: ViewAction, entry: ViewEntry): void {
    if (this.#listeners.size === 0) return;
    const object = toInventoryObject(entry, this.#nameOf(entry.nodeUid));
    for (const listener of this.#listeners) listener({ action, object });
  }
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

const DIGITS = /^[0-9]{1,15}$/;

/** Numbers by value and before everything else, the rest by code unit: a total order. */
export function compareIds(a: string, b: string): number {
  const [isNumberA, isNumberB] = [DIGITS.test(a), DIGITS.test(b)];
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  if (isNumberA && Number(a) !== Number(b)) return Number(a) - Number(b);
  return a < b ? -1 : a > b ? 1 : 0;
}
