/** What is free on a node: its size, less what guests are configured for, less what is promised. Pure sums, bytes and cores. */
import type { PlacementPolicy } from '../domain/placement.ts';
import type { Holdings } from '../domain/reservation.ts';
import type { NodeSnapshot, StorageView } from '../domain/snapshot.ts';

export interface Room {
  readonly total: number;
  /** By guests that are there. */
  readonly used: number;
  /** By active reservations. */
  readonly promised: number;
  /** Never below 0. */
  readonly free: number;
}

function room(total: number, used: number, promised: number): Room {
  return { total, used, promised, free: Math.max(0, total - used - promised) };
}

export function memoryRoom(node: NodeSnapshot, held: Holdings, policy: PlacementPolicy): Room {
  const total = Math.max(0, node.memoryBytes - policy.hostMemoryBytes) * policy.memoryOvercommit;
  return room(total, policy.countStopped ? node.guestMemoryBytes : node.runningMemoryBytes, held.memoryBytes);
}

export function cpuRoom(node: NodeSnapshot, held: Holdings, policy: PlacementPolicy): Room {
  return room(node.cores * policy.cpuOvercommit, node.guestCores, held.cpuCores);
}

/** `extra` is what this placement already puts there. */
export function poolRoom(storage: StorageView, held: Holdings, extra = 0): Room {
  const promised = (held.pools.get(storage.id) ?? 0) + extra;
  return room(storage.totalBytes, Math.max(0, storage.totalBytes - storage.availableBytes), promised);
}
