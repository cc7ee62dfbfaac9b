/**
 * inventory/: this node as documents. One collector per kind turns what the lower rooms read into the documents of
 * contract/inventory; mapping is pure, reading is theirs. A collector that cannot read throws: its caller keeps the
 * last known objects and reports the failure in the node document. The room never publishes and remembers nothing
 * but what spares work. It may call guest, image, device, zfs and host.
 */
import { createHash, createHmac } from 'node:crypto';
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

const MIB = 1024n * 1024n;

/** Down to a whole number of 16 MiB. */
export function to16Mib(bytes: bigint): bigint {
  return bytes - (bytes % (16n * MIB));
}

/**
 * Down to about 1 % of the value, 1 MiB at least: the figures of a pool move with every write of every guest, and a
 * document that never rests would be a change row every minute.
 */
export function toOnePercent(bytes: bigint): bigint {
  let step = MIB;
  while (step * 128n <= bytes) step *= 2n;
  return bytes - (bytes % step);
}

/** Same keys, same bytes: the encoder writes map entries in insertion order. */
export function sortedRecord(entries: Iterable<readonly [string, string]>): Record<string, string> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Hides values but shows whether they are the same. Keyed, so that short secrets cannot be found by trying. */
export type Mask = (value: string) => string;

export function createMask(secret: string): Mask {
  const key = createHash('sha256').update('pxmgr config values\0').update(secret).digest();
  return (value) => `hmac:${createHmac('sha256', key).update(value).digest('hex').slice(0, 16)}`;
}
