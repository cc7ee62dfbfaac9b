/** The feed: collects what is dirty, compares it with the view, queues the differences with their causes. */
import type { InventoryKind } from '@pxmgr/contract';
import { INVENTORY_KINDS } from '@pxmgr/contract';
import type { SourceFailure } from '@pxmgr/contract/common';
import type { Clock } from '@pxmgr/kit/clock';
import { toProblem } from '@pxmgr/kit/error/to-problem';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { Collector } from '../inventory/collector.ts';
import type { GuestChange } from '../inventory/guests.ts';
import type { Causes, KnownCause } from './causes.ts';
import type { ObjectChange } from './differ.ts';
import { diffKind, diffObject } from './differ.ts';
import type { Outbox, OutboxItem } from './outbox.ts';
import type { View, ViewEntry } from './view.ts';

/** What has to be looked at again. */
export interface Dirty {
  readonly kinds: Set<InventoryKind>;
  readonly guests: Set<number>;
}

export function nothingDirty(): Dirty {
  return { kinds: new Set(), guests: new Set() };
}

export function everythingDirty(): Dirty {
  return { kinds: new Set(INVENTORY_KINDS), guests: new Set() };
}

const GUESTS: readonly InventoryKind[] = ['container', 'vm'];

/** Source name of the queue on disk in the node document. */
const OUTBOX = 'outbox';

export interface FeedParts {
  /** In the order of collecting; `node` must come last, since it carries the failures of the others. */
  readonly collectors: readonly Collector[];
  readonly oneGuest: (vmid: number) => GuestChange[];
  readonly view: View;
  readonly outbox: Outbox;
  readonly causes: Causes;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class InventoryFeed {
  readonly #parts: FeedParts;
  /** By source: the name of a kind, `guest N`, or what the watcher reads itself. */
  readonly #failures = new Map<string, SourceFailure>();
  /** Kinds that were read at least once: of the others nothing may be said, above all not that they are empty. */
  readonly #known = new Set<InventoryKind>();
  readonly #unreadGuests = new Set<number>();
  #failuresChanged = false;
  #touch: (kinds: readonly InventoryKind[], vmid?: number) => void = () => undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** Operations name the author of a change before, while or right after they make it. */
  noteCause(kind: InventoryKind, id: string, cause: KnownCause): void {
    this.#parts.causes.note(kind, id, cause);
  }

  /** The operation has ended: what is seen after the next look is not its doing. */
  noteCauseEnd(kind: InventoryKind, id: string, cause: KnownCause): void {
    this.#parts.causes.noteEnd(kind, id, cause);
  }

  /** Asks for a look at these kinds, and at one guest, at once instead of at the next timer. */
  touch(kinds: readonly InventoryKind[], vmid?: number): void {
    this.#touch(kinds, vmid);
  }

  /** The watcher hears of touches. */
  onTouch(callback: (kinds: readonly InventoryKind[], vmid?: number) => void): void {
    this.#touch = callback;
  }

  /** The view as it is; for the repair path and for live queries. */
  objects(kinds: readonly InventoryKind[] = []): ViewEntry[] {
    return this.#parts.view.entries(kinds);
  }

  /** Sources that could not be read the last time. */
  failures(): SourceFailure[] {
    return [...this.#failures.values()].sort((a, b) => (a.source < b.source ? -1 : 1));
  }

  /** Guests that had changed and could not be read: whoever watches asks again. */
  get unreadGuests(): ReadonlySet<number> {
    return this.#unreadGuests;
  }

  /** Kinds whose whole content is known. */
  knownKinds(): InventoryKind[] {
    return INVENTORY_KINDS.filter((kind) => this.#known.has(kind));
  }

  /** Remembers that a source cannot be read; the node document tells it until `noteSuccess`. */
  noteFailure(source: string, error: unknown): void {
    const failure = { source, problem: toProblem(error) };
    if (JSON.stringify(failure) === JSON.stringify(this.#failures.get(source))) return;
    this.#parts.logger.warn({ source, err: error }, 'inventory source cannot be read');
    this.#failures.set(source, failure);
    this.#failuresChanged = true;
  }

  noteSuccess(source: string): void {
    if (this.#failures.delete(source)) this.#failuresChanged = true;
  }

  /** True when the node document has to be made again because of a failure that came or went. */
  get isNodeStale(): boolean {
    return this.#failuresChanged;
  }

  /** Before that no guest may be told of alone: it would look as if it had just been made. */
  get areGuestsKnown(): boolean {
    return GUESTS.every((kind) => this.#known.has(kind));
  }

  /** What changed of these is queued when this returns, whatever a round waits for. Gives the number of changes. */
  refreshGuests(vmids: ReadonlySet<number>): number {
    const changes = [...vmids].flatMap((vmid) => this.#collectGuest(vmid));
    this.#publish(changes);
    this.#lookAtOutbox();
    this.#parts.causes.settle(vmids);
    return changes.length;
  }

  /**
   * One round; rounds must not overlap. Each kind is queued as soon as it was read. Gives the number of changes. Never
   * throws for a source that cannot be read.
   */
  async refresh(dirty: Dirty): Promise<number> {
    const { areGuestsKnown } = this;
    let count = areGuestsKnown ? this.refreshGuests(dirty.guests) : 0;
    for (const collector of this.#parts.collectors) {
      const { kind } = collector;
      if (!this.#isWanted(kind, dirty, areGuestsKnown)) continue;
      const isFirst = !this.#known.has(kind);
      const found = await this.#collect(collector);
      if (!isFirst) this.#publish(found);
      else if (this.#known.has(kind)) this.#publishFirst(kind);
      count += found.length;
    }
    this.#lookAtOutbox();
    if (!areGuestsKnown) this.#parts.causes.settle(dirty.guests);
    return count;
  }

  /** While not all guests are known, one of them makes all be read. */
  #isWanted(kind: InventoryKind, dirty: Dirty, areGuestsKnown: boolean): boolean {
    if (dirty.kinds.has(kind)) return true;
    if (kind === 'node') return this.#failuresChanged;
    return dirty.guests.size > 0 && !areGuestsKnown && GUESTS.includes(kind);
  }

  async #collect(collector: Collector): Promise<ObjectChange[]> {
    const { kind } = collector;
    if (kind === 'node') this.#failuresChanged = false;
    try {
      const found = await collector.collect();
      this.#known.add(kind);
      this.noteSuccess(kind);
      return this.#apply(diffKind(kind, this.#parts.view.of(kind), found));
    } catch (error) {
      this.noteFailure(kind, error);
      return [];
    }
  }

  #collectGuest(vmid: number): ObjectChange[] {
    const source = `guest ${vmid}`;
    try {
      const changes = this.#parts
        .oneGuest(vmid)
        .map(({ kind, id, observed }) => diffObject({ kind, id }, this.#parts.view.of(kind), observed));
      this.noteSuccess(source);
      this.#unreadGuests.delete(vmid);
      return this.#apply(changes.filter((change): change is ObjectChange => change !== undefined));
    } catch (error) {
      this.noteFailure(source, error);
      this.#unreadGuests.add(vmid);
      return [];
    }
  }

  #apply(changes: readonly ObjectChange[]): ObjectChange[] {
    const observedAt = this.#parts.clock.now();
    for (const { kind, id, document, hash } of changes) {
      if (document === undefined) this.#parts.view.remove(kind, id);
      else this.#parts.view.put({ kind, id, document, hash, observedAt, position: undefined });
    }
    return [...changes];
  }

  #lookAtOutbox(): void {
    const { failure } = this.#parts.outbox;
    if (failure === undefined) this.noteSuccess(OUTBOX);
    else this.noteFailure(OUTBOX, failure);
  }

  #publish(changes: readonly ObjectChange[]): void {
    const observedAt = this.#parts.clock.now();
    const causeOf = this.#parts.causes.lookup();
    this.#parts.outbox.put(
      changes.map((change) => ({ ...change, observedAt, cause: causeOf(change.kind, change.id), resync: false })),
    );
  }

  /**
   * What is read for the first time in this generation is published whole. What an earlier process could not deliver
   * keeps its cause if it is still true; a state whose object has gone meanwhile becomes a tombstone.
   */
  #publishFirst(kind: InventoryKind): void {
    const { outbox, view, clock } = this.#parts;
    const left = outbox.pending().filter((slot) => slot.document !== undefined && slot.kind === kind);
    const gone = left.filter((slot) => !view.of(slot.kind).has(slot.id));
    const tombstones = gone.map(({ kind, id, cause }): OutboxItem => {
      return { kind, id, document: undefined, hash: '', observedAt: clock.now(), cause, resync: false };
    });
    const all = view.entries([kind]).filter((entry) => outbox.get(entry.kind, entry.id)?.hash !== entry.hash);
    outbox.put([...tombstones, ...all.map((entry) => repairOf(entry))]);
  }

  /** Queues everything of the kinds (all when none is named) once more; gives the number of objects. */
  resync(kinds: readonly InventoryKind[] = []): number {
    const entries = this.objects(kinds);
    this.#parts.outbox.put(
      entries
        .filter((entry) => this.#parts.outbox.get(entry.kind, entry.id) === undefined)
        .map((entry) => repairOf(entry)),
    );
    return entries.length;
  }
}

function repairOf({ kind, id, document, hash, observedAt }: ViewEntry): OutboxItem {
  return { kind, id, document, hash, observedAt, cause: undefined, resync: true };
}
