/**
 * inventory/: the fleet as observed. Messages become rows and changes in one transaction, then the view in memory;
 * gaps and differences are repaired from the agents. It never invents: an object exists because its node said so.
 * May call store, fleet and bus; is read through domain/fleet-view.ts by everybody else.
 */
import { INVENTORY_KINDS, type InventoryKind } from '@pxmgr/contract';
import { InventoryDocument, type InventoryObject, type NodeDocument } from '@pxmgr/contract/common';
import type { FleetView, NodeContents, ViewAction, ViewListener } from '../domain/fleet-view.ts';
import type { GuestKeyInput, GuestSummary } from '../domain/guest.ts';
import type { NodeState } from '../domain/node-state.ts';
import type { KnownNode, Registry } from '../fleet/registry.ts';
import type { LoadedObject, ObjectStore } from '../store/objects.ts';
import { findContainer } from './find.ts';
import type { MetricsBoard } from './metrics.ts';
import { type EntryKey, type ObjectState, toEntry, toInventoryObject, type ViewEntry } from './view-entry.ts';

/** A committed write, in the order of the transaction; of what is gone the last state. */
export interface ViewWrite {
  readonly action: ViewAction;
  readonly object: ObjectState;
}

type Shelf = Map<string, ViewEntry>;
type NodeShelves = Map<InventoryKind, Shelf>;

/** What no document of its own is kept of. */
const GUEST_KINDS = ['container', 'vm'] as const;
const OTHER_KINDS = INVENTORY_KINDS.filter((kind) => kind !== 'node' && kind !== 'container' && kind !== 'vm');

/**
 * Index of everything observed, in memory: enough to find and to decide. Written only after COMMIT, so that the rows it
 * reads whole objects from are never behind it.
 */
export class View implements FleetView {
  readonly #registry: Registry;
  readonly #metrics: MetricsBoard;
  readonly #objects: Pick<ObjectStore, 'get'>;
  readonly #nodes = new Map<string, NodeShelves>();
  readonly #byVmid = new Map<number, Set<ViewEntry>>();
  readonly #listeners = new Set<ViewListener>();
  readonly #counts = new Map<InventoryKind, number>();
  readonly #strings = new Map<string, string>();

  constructor(registry: Registry, metrics: MetricsBoard, objects: Pick<ObjectStore, 'get'>) {
    this.#registry = registry;
    this.#metrics = metrics;
    this.#objects = objects;
  }

  /** Fills an empty view at start; tells nobody. */
  load(objects: readonly LoadedObject[]): void {
    for (const object of objects) this.#put(object, InventoryDocument.decode(object.document));
  }

  write(writes: readonly ViewWrite[]): void {
    for (const { action, object } of writes) {
      if (action !== 'deleted') this.#put(object, object.document);
      else if (!this.#remove(object)) continue;
      this.#tell(action, object);
    }
  }

  /** Everything of a node that left; watchers see it go. */
  forget(nodeUid: string): void {
    const entries = [...(this.#nodes.get(nodeUid)?.values() ?? [])].flatMap((shelf) => [...shelf.values()]);
    for (const entry of entries) {
      const object = this.#stateOf(entry);
      this.#remove(entry);
      if (object !== undefined) this.#tell('deleted', object);
    }
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
      const object = entry === undefined || this.#isOutdated(entry) ? undefined : this.#stateOf(entry);
      if (object !== undefined) yield toInventoryObject(object, node.name);
    }
  }

  object(nodeUid: string, kind: InventoryKind, id: string): InventoryObject | undefined {
    const entry = this.#nodes.get(nodeUid)?.get(kind)?.get(id);
    const object = entry === undefined ? undefined : this.#stateOf(entry);
    return object === undefined ? undefined : toInventoryObject(object, this.#nameOf(nodeUid));
  }

  #stateOf({ nodeUid, kind, id, document }: ViewEntry): ObjectState | undefined {
    const stored = this.#objects.get({ nodeUid, kind, id });
    if (stored?.document === undefined) return undefined;
    const { hash, observedAt, position, document: bytes } = stored;
    return { nodeUid, kind, id, hash, observedAt, position, document: document ?? InventoryDocument.decode(bytes) };
  }

  contents(nodeUid: string): NodeContents {
    const shelves = this.#nodes.get(nodeUid);
    const entriesOf = (kind: InventoryKind): ViewEntry[] => [...(shelves?.get(kind)?.values() ?? [])];
    return {
      guests: GUEST_KINDS.flatMap(entriesOf)
        .flatMap(({ guest }) => guest ?? [])
        .sort((a, b) => a.vmid - b.vmid),
      documents: OTHER_KINDS.flatMap((kind) => entriesOf(kind).sort((a, b) => compareIds(a.id, b.id))).flatMap(
        ({ document }) => document ?? [],
      ),
    };
  }

  guests(nodeUid?: string): readonly GuestSummary[] {
    const found: GuestSummary[] = [];
    const uids = nodeUid === undefined ? this.#registry.list().map((node) => node.uid) : [nodeUid];
    for (const uid of uids) {
      for (const kind of GUEST_KINDS)
        for (const entry of this.#nodes.get(uid)?.get(kind)?.values() ?? []) found.push(...this.#summary(entry));
    }
    return found;
  }

  guestsByVmid(vmid: number): readonly GuestSummary[] {
    const found: GuestSummary[] = [];
    for (const entry of this.#byVmid.get(vmid) ?? []) found.push(...this.#summary(entry));
    return found;
  }

  #summary(entry: ViewEntry): GuestSummary[] {
    const { guest, nodeUid } = entry;
    if (guest === undefined || this.#isOutdated(entry)) return [];
    return [{ ...guest, nodeUid, nodeName: this.#nameOf(nodeUid) }];
  }

  /** The guest has been moved to another node, and its old one is not in a state to say that it is gone there. */
  #isOutdated({ nodeUid, kind, guest }: ViewEntry): boolean {
    const entries = guest === undefined ? undefined : this.#byVmid.get(guest.vmid);
    if (guest === undefined || entries === undefined || entries.size < 2) return false;
    const cluster = this.#nodeDocument(nodeUid)?.cluster ?? '';
    if (cluster === '' || this.#isCurrent(nodeUid, cluster)) return false;
    return [...entries].some(
      (other) =>
        other.kind === kind &&
        other.guest?.guestUid === guest.guestUid &&
        other.guest.name === guest.name &&
        this.#isCurrent(other.nodeUid, cluster),
    );
  }

  /** It knows what its cluster knows by now. */
  #isCurrent(nodeUid: string, cluster: string): boolean {
    const document = this.#nodeDocument(nodeUid);
    return document?.cluster === cluster && document.quorate && this.#registry.find(nodeUid)?.presence === 'up';
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
      const inner = entry.document?.document;
      if (inner?.$case === 'node') return inner.value;
    }
    return undefined;
  }

  #nameOf(uid: string): string {
    return this.#registry.nameOf(uid) ?? uid;
  }

  #put(key: EntryKey, document: InventoryDocument): void {
    const entry = toEntry(key, document, (text) => getOrMake(this.#strings, text, () => text));
    const shelves = getOrMake(this.#nodes, entry.nodeUid, () => new Map<InventoryKind, Shelf>());
    const shelf = getOrMake(shelves, entry.kind, () => new Map<string, ViewEntry>());
    const old = shelf.get(entry.id);
    if (old === undefined) this.#count(entry.kind, 1);
    else this.#unindex(old);
    shelf.set(entry.id, entry);
    if (entry.guest !== undefined) getOrMake(this.#byVmid, entry.guest.vmid, () => new Set<ViewEntry>()).add(entry);
  }

  /** False when it was not there. */
  #remove(key: EntryKey): boolean {
    const shelf = this.#nodes.get(key.nodeUid)?.get(key.kind);
    const entry = shelf?.get(key.id);
    if (entry === undefined) return false;
    shelf?.delete(key.id);
    this.#unindex(entry);
    this.#count(key.kind, -1);
    return true;
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

  #tell(action: ViewAction, state: ObjectState): void {
    if (this.#listeners.size === 0) return;
    const object = toInventoryObject(state, this.#nameOf(state.nodeUid));
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
