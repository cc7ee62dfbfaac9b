import type { Reason } from '@pxmgr/contract/controller';
import type { PlacementAsk, PlacementPolicy } from '../domain/placement.ts';
import type { Holdings } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';

/** One wish held against one node; filters append to `reasons`. */
export interface Trial {
  readonly ask: PlacementAsk;
  readonly policy: PlacementPolicy;
  readonly node: NodeSnapshot;
  readonly held: Holdings;
  readonly reasons: Reason[];
}

/** Each filter that can refuse a node, in the order in which reasons are listed. */
export const FILTERS = [
  'constraint',
  'presence',
  'inventory',
  'quorum',
  'capability',
  'architecture',
  'cpu',
  'memory',
  'storage',
  'storage_content',
  'pool_space',
  'image',
  'template',
  'gpu',
  'device',
  'dataset',
  'bind_source',
  'bridge',
  'vmid',
] as const;
export type FilterName = (typeof FILTERS)[number];

export function refusal(filter: FilterName, text: string, found: { wanted: string; found: string }): Reason {
  return { filter, text, wanted: found.wanted, found: found.found };
}
