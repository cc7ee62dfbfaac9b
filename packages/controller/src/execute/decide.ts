/** A spec held against the fleet as it is now: verdict, resolved spec, explanation. Reads ledger and snapshots, writes nothing. */
import type { ContainerSpec } from '@pxmgr/contract/common';
import type { Evaluation, PlacementConstraints } from '@pxmgr/contract/controller';
import { askOf, type PlacementPolicy } from '../domain/placement.ts';
import { type Claim, NO_HOLDINGS } from '../domain/reservation.ts';
import { type Assessed, assess, evaluate, type Question, termsOf } from '../schedule/evaluate.ts';
import { explain } from '../schedule/explain.ts';
import { claimOf, resolveSpec } from '../schedule/resolve.ts';
import type { Ledger } from './ledger.ts';
import type { Snapshots } from './snapshots.ts';

/** Valid, with image and defaults filled in. */
export interface Wish {
  readonly spec: ContainerSpec;
  readonly constraints: PlacementConstraints;
}

export interface Decision {
  readonly evaluation: Evaluation;
  /** Undefined when no node fits. */
  readonly chosen: { readonly on: Assessed; readonly spec: ContainerSpec; readonly claim: Claim } | undefined;
}

export interface DecideParts {
  readonly snapshots: Snapshots;
  readonly ledger: Ledger;
  readonly policy: PlacementPolicy;
}

/** The evaluation's id is the seed: the same id over the same fleet gives the same answer. */
export function decide(parts: DecideParts, wish: Wish, stamp: { id: string; at: Date }): Decision {
  const question = ask(parts, wish, stamp.id);
  const verdict = evaluate(question);
  const { winner } = verdict;
  const spec = winner === undefined ? undefined : resolveSpec(wish.spec, winner);
  const evaluation: Evaluation = {
    ...stamp,
    ...explain(verdict),
    spec: wish.spec,
    constraints: wish.constraints,
    chosenNodeUid: winner?.uid ?? '',
    chosenNodeName: winner?.node.name ?? '',
    chosenStorage: spec?.storage ?? '',
    chosenDevices: spec?.devices.map((device) => device.path) ?? [],
  };
  if (winner === undefined || spec === undefined) return { evaluation, chosen: undefined };
  return { evaluation, chosen: { on: winner, spec, claim: claimOf(verdict.terms, winner) } };
}

/** Whether the chosen node still takes it, by the ledger and the inventory of this moment. Inside the transaction. */
export function stillFits(parts: DecideParts, wish: Wish, chosen: Assessed): boolean {
  const question = ask(parts, wish, '');
  const node = question.nodes.find((candidate) => candidate.uid === chosen.uid);
  if (node === undefined) return false;
  const held = question.holdings.get(node.uid);
  const again = assess(termsOf(question), node, held ?? NO_HOLDINGS);
  return again.isFeasible && again.fit.storage?.id === chosen.fit.storage?.id && sameCards(again, chosen);
}

function sameCards(a: Assessed, b: Assessed): boolean {
  const cards = (assessed: Assessed): string => assessed.fit.gpus.map((gpu) => gpu.address).join();
  return cards(a) === cards(b);
}

function ask({ snapshots, ledger, policy }: DecideParts, wish: Wish, seed: string): Question {
  const nodes = snapshots.nodes();
  return {
    ask: askOf(wish.spec, wish.constraints),
    policy,
    nodes,
    holdings: ledger.holdings(nodes),
    vmidReserved: ledger.vmidOwners(wish.constraints.vmid, nodes),
    seed,
  };
}
