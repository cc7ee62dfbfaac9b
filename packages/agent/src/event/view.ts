/**
 * event/: outward. This room keeps the node's view, finds out what changed, and publishes it: watcher -> collectors ->
 * differ -> outbox -> NATS. The host is the truth; everything here can be built again from it, so nothing that is lost
 * is lost for ever: manifests let the controller notice, a resync repairs. The room calls inventory and host; it never
 * changes anything on the host, and nothing of the bus is known outside of it.
 * This file is the view: the last document of every object and where it stands in the stream.
 */
import type { InventoryKind, ManifestEntry, Position } from '@pxmgr/contract';
import { INVENTORY_KINDS } from '@pxmgr/contract';
import type { InventoryDocument } from '@pxmgr/contract/common';

export interface ViewEntry {
  readonly kind: InventoryKind;
  readonly id: string;
  readonly document: InventoryDocument;
  readonly hash: string;
  readonly observedAt: Date;
  /** Position of its last publication; undefined before the first. */
  readonly position: Position | undefined;
}

export class View {
  readonly #kinds = new Map<InventoryKind, Map<string, ViewEntry>>(INVENTORY_KINDS.map((kind) => [kind, new Map()]));

  /** Live map of one kind; callers must not change it. */
  of(kind: InventoryKind): ReadonlyMap<string, ViewEntry> {
    return this.#mutable(kind);
  }

  #mutable(kind: InventoryKind): Map<string, ViewEntry> {
    const map = this.#kinds.get(kind);
    if (map === undefined) throw new Error(`no such kind: ${kind}`);
    return map;
  }

  put(entry: ViewEntry): void {
    this.#mutable(entry.kind).set(entry.id, entry);
  }

  remove(kind: InventoryKind, id: string): void {
    this.#mutable(kind).delete(id);
  }

  /** Notes where the object stands in the stream, unless it has changed since. */
  published(object: { kind: InventoryKind; id: string; hash: string }, position: Position): void {
    const map = this.#mutable(object.kind);
    const entry = map.get(object.id);
    if (entry?.hash === object.hash) map.set(object.id, { ...entry, position });
  }

  /** Entries of the kinds, or of all kinds when none is named. */
  entries(kinds: readonly InventoryKind[] = []): ViewEntry[] {
    const chosen = kinds.length === 0 ? INVENTORY_KINDS : kinds;
    return chosen.flatMap((kind) => [...this.#mutable(kind).values()]);
  }

  manifestOf(kind: InventoryKind): ManifestEntry[] {
    return [...this.#mutable(kind).values()].map(({ id, hash }) => ({ id, hash }));
  }
}
