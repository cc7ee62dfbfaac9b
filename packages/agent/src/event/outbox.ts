/**
 * Messages that the bus has not confirmed yet, one slot per object: a newer state replaces the older one, so a week
 * without a bus costs one message per object. Bounded; when it overflows the oldest go and `takeOverflow` says that the
 * whole view has to be published again. Positions are given when a message is sent, not when it is queued; a change
 * that was replaced before it was sent takes a revision with it, so that the hole tells of the state nobody will see.
 */
import type { InventoryKind, Position } from '@pxmgr/contract';
import { isInventoryKind } from '@pxmgr/contract';
import type { InventoryDocument } from '@pxmgr/contract/common';
import type { Cause } from '@pxmgr/contract/event';
import { InventoryMessage } from '@pxmgr/contract/event';
import type { Frame } from './outbox-file.ts';
import { OutboxFile } from './outbox-file.ts';

export interface OutboxItem {
  readonly kind: InventoryKind;
  readonly id: string;
  /** undefined = the object is gone. */
  readonly document: InventoryDocument | undefined;
  readonly hash: string;
  readonly observedAt: Date;
  readonly cause: Cause | undefined;
  /** A publication for repair, not a change. */
  readonly resync: boolean;
}

export interface OutboxSlot extends OutboxItem {
  /** Order of queueing; identifies this state of the object. */
  readonly seq: bigint;
  /** Given at the first try and kept for the next ones. */
  position: Position | undefined;
}

const DEFAULT_MAX_ITEMS = 50_000;
/** The log is written anew when it is this large and mostly out of date. */
const COMPACT_BYTES = 4 * 1024 * 1024;

function keyOf(item: { kind: string; id: string }): string {
  return `${item.kind}/${item.id}`;
}

function encodeItem(item: OutboxItem, seq: bigint): Frame {
  const { kind, id, document, hash, observedAt, cause, resync } = item;
  const message: InventoryMessage = {
    generation: 0n,
    revision: seq,
    observedAt,
    kind,
    id,
    nodeName: '',
    deleted: document === undefined,
    hash,
    document,
    cause,
    resync,
  };
  return { op: 'put', payload: InventoryMessage.encode(message).finish() };
}

function decodeItem(payload: Uint8Array): OutboxSlot | undefined {
  const message = InventoryMessage.decode(payload);
  if (!isInventoryKind(message.kind)) return undefined;
  const { kind, id, document, hash, observedAt, cause, resync, revision } = message;
  return {
    kind,
    id,
    document,
    hash,
    observedAt: observedAt ?? new Date(0),
    cause,
    resync,
    seq: revision,
    position: undefined,
  };
}

export class Outbox {
  readonly #file: OutboxFile;
  readonly #maxItems: number;
  readonly #slots = new Map<string, OutboxSlot>();
  #seq = 0n;
  #liveBytes = 0;
  #overflowed = false;
  #failure: unknown;
  /** Changes that will never be sent and have no position yet. */
  #unsent = 0n;
  #onItems: () => void = () => undefined;

  private constructor(file: OutboxFile, maxItems: number) {
    this.#file = file;
    this.#maxItems = maxItems;
  }

  /** Reads what an earlier process left. */
  static open(path: string, maxItems = DEFAULT_MAX_ITEMS): Outbox {
    const outbox = new Outbox(new OutboxFile(path), maxItems);
    const keys = new Map<bigint, string>();
    for (const frame of outbox.#file.read()) outbox.#replay(frame, keys);
    outbox.#keep(() => {
      outbox.#compact();
    });
    return outbox;
  }

  /** `keys`: of every state read so far, so that looking through all of them is not done for each that went out. */
  #replay({ op, payload }: Frame, keys: Map<bigint, string>): void {
    if (op === 'done') {
      const seq = Buffer.from(payload).readBigUInt64LE(0);
      const key = keys.get(seq) ?? '';
      if (this.#slots.get(key)?.seq === seq) this.#slots.delete(key);
      return;
    }
    const slot = decodeItem(payload);
    if (slot === undefined) return;
    keys.set(slot.seq, keyOf(slot));
    this.#slots.delete(keyOf(slot));
    this.#slots.set(keyOf(slot), slot);
    if (slot.seq > this.#seq) this.#seq = slot.seq;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Time of the oldest waiting message. */
  get oldestAt(): Date | undefined {
    return this.#slots.values().next().value?.observedAt;
  }

  /** Waiting messages in the order of queueing. */
  pending(): OutboxSlot[] {
    return [...this.#slots.values()];
  }

  get(kind: InventoryKind, id: string): OutboxSlot | undefined {
    return this.#slots.get(keyOf({ kind, id }));
  }

  /** Called after every `put`. */
  onItems(callback: () => void): void {
    this.#onItems = callback;
  }

  /** Queues states; each replaces the waiting one of its object. On disk when this returns, unless `failure` is set. */
  put(items: readonly OutboxItem[]): void {
    if (items.length === 0) return;
    const frames: Frame[] = [];
    for (const item of items) {
      this.#seq += 1n;
      const slot: OutboxSlot = { ...this.#asRepair(item), seq: this.#seq, position: undefined };
      frames.push(encodeItem(slot, slot.seq));
      this.#giveUp(keyOf(item));
      this.#slots.set(keyOf(item), slot);
    }
    this.#keep(() => {
      this.#file.append(frames);
    });
    this.#dropOldest();
    if (this.#file.bytes > COMPACT_BYTES + 2 * this.#liveBytes) this.#keep(() => this.#compact());
    this.#onItems();
  }

  /** Whoever was not told yet that the object is there would take its change for its making. */
  #asRepair(item: OutboxItem): OutboxItem {
    const replaced = this.#slots.get(keyOf(item));
    const isUntold = replaced?.resync === true && replaced.document !== undefined && item.document !== undefined;
    return isUntold ? { ...item, resync: true } : item;
  }

  #dropOldest(): void {
    for (const key of this.#slots.keys()) {
      if (this.#slots.size <= this.#maxItems) return;
      this.#giveUp(key);
      this.#overflowed = true;
    }
  }

  /** Of a publication for repair nobody misses the older state. */
  #giveUp(key: string): void {
    const slot = this.#slots.get(key);
    if (slot?.position === undefined && slot?.resync === false) this.#unsent += 1n;
    this.#slots.delete(key);
  }

  /**
   * The next messages to send, oldest first; `number` gives a position to those that have none and leaves out as many
   * revisions as it is told.
   */
  take(limit: number, number: (unsent: bigint) => Position): OutboxSlot[] {
    const batch: OutboxSlot[] = [];
    for (const slot of this.#slots.values()) {
      if (batch.length >= limit) break;
      if (slot.position === undefined) {
        slot.position = number(this.#unsent);
        this.#unsent = 0n;
      }
      batch.push(slot);
    }
    return batch;
  }

  /** The bus has them. A slot that was replaced meanwhile stays. */
  confirm(slots: readonly OutboxSlot[]): void {
    if (slots.length === 0) return;
    for (const slot of slots) if (this.#slots.get(keyOf(slot))?.seq === slot.seq) this.#slots.delete(keyOf(slot));
    this.#keep(() => {
      if (this.#slots.size === 0) this.#compact();
      else this.#file.append(slots.map((slot) => ({ op: 'done', payload: seqBytes(slot.seq) })));
    });
  }

  /** True once after messages had to be dropped. */
  takeOverflow(): boolean {
    const was = this.#overflowed;
    this.#overflowed = false;
    return was;
  }

  /** Why the file does not hold what waits; undefined while it does. The messages themselves are sent all the same. */
  get failure(): unknown {
    return this.#failure;
  }

  /** A file that has missed something is written anew as soon as there is room. */
  #keep(write: () => void): void {
    try {
      if (this.#failure === undefined) write();
      else this.#compact();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
    }
  }

  #compact(): void {
    this.#file.rewrite(this.pending().map((slot) => encodeItem(slot, slot.seq)));
    this.#liveBytes = this.#file.bytes;
  }
}

function seqBytes(seq: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(seq, 0);
  return bytes;
}
