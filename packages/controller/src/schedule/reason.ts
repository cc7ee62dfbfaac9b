import type { Reason } from '@pxmgr/contract/controller';
import type { GuestView } from '../domain/guest.ts';
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

/** A guest that exists, on its node. */
export interface OnNode {
  readonly node: NodeSnapshot;
  readonly guest: GuestView;
  readonly held: Holdings;
  readonly policy: PlacementPolicy;
}

/** Each filter that can refuse a node, in the order in which reasons are listed, with a few words for summaries. */
export const FILTERS = {
  constraint: 'not meant by the request',
  presence: 'not up',
  inventory: 'no inventory yet',
  quorum: 'no quorum',
  capability: 'lacks an ability',
  architecture: 'another architecture',
  cpu: 'too few cores',
  memory: 'too little memory',
  storage: 'storage missing',
  storage_content: 'storage not for containers',
  pool_space: 'too little space',
  image: 'cannot pull the image',
  template: 'template missing',
  gpu: 'no GPU that fits',
  device: 'device missing or taken',
  dataset: 'dataset missing',
  bind_source: 'bind source unknown',
  bridge: 'bridge missing',
  vmid: 'vmid taken',
} as const;
export type FilterName = keyof typeof FILTERS;

export function refusal(filter: FilterName, text: string, found: { wanted: string; found: string }): Reason {
  return { filter, text, wanted: found.wanted, found: found.found };
}
