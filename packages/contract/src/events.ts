/** Rules of the inventory messages: dedup key, order, document hash, manifest hash. */
import { createHash } from 'node:crypto';
import { InventoryDocument } from './gen/pxmgr/common/v1/inventory.ts';

/** Position of a message: agent generation, then revision within it. */
export interface Position {
  readonly generation: bigint;
  readonly revision: bigint;
}

/** Nats-Msg-Id. */
export function dedupId(nodeUid: string, position: Position): string {
  return `${nodeUid}.${position.generation}.${position.revision}`;
}

/** Negative when a is older than b. */
export function comparePositions(a: Position, b: Position): number {
  if (a.generation !== b.generation) return a.generation < b.generation ? -1 : 1;
  if (a.revision === b.revision) return 0;
  return a.revision < b.revision ? -1 : 1;
}

/** ts-proto writes fields in order and map entries in insertion order: sort map keys before hashing. */
export function hashDocument(document: InventoryDocument): string {
  return createHash('sha256').update(InventoryDocument.encode(document).finish()).digest('hex').slice(0, 16);
}

export interface ManifestEntry {
  readonly id: string;
  readonly hash: string;
}

/** Hash over the sorted lines "<id> <hash>\n". */
export function hashManifest(entries: readonly ManifestEntry[]): string {
  const sum = createHash('sha256');
  for (const line of entries.map((entry) => `${entry.id} ${entry.hash}\n`).sort()) sum.update(line);
  return sum.digest('hex').slice(0, 16);
}
