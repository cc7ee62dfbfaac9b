/** A spec held against the fleet as it is now: the choice, the resolved spec, the explanation. Writes nothing. */
import type { ContainerSpec } from '@pxmgr/contract/common';
import type { Candidate, Evaluation, PlacementConstraints } from '@pxmgr/contract/controller';
import { askOf } from '../domain/placement.ts';
import { type Claim, NO_HOLDINGS } from '../domain/reservation.ts';
import { choose } from '../schedule/choose.ts';
import type { Columns } from '../schedule/columns.ts';
import { type Assessed, assess, evaluateAll, termsOf } from '../schedule/evaluate.ts';
import { explain, praise } from '../schedule/explain.ts';
import type { Terms } from '../schedule/feasible.ts';
import { claimOf, resolveSpec } from '../schedule/resolve.ts';
import type { Decided } from '../store/evaluations.ts';
import type { Field } from './field.ts';
import type { Ledger } from './ledger.ts';

/** Valid, with image and defaults filled in. */
export interface Wish {
  readonly spec: ContainerSpec;
  readonly constraints: PlacementConstraints;
}

export interface Decision {
  readonly evaluation: Evaluation;
  /** What to store of it, with the place in the log of facts. */
  readonly stored: Omit<Decided, 'facts'>;
  /** Undefined when no node fits. */
  readonly chosen: { readonly on: Assessed; readonly spec: ContainerSpec; readonly claim: Claim } | undefined;
}

export interface DecideParts {
  readonly field: Field;
  readonly ledger: Ledger;
}

/** The evaluation's id is the seed: the same id over the same fleet gives the same answer. */
export function decide({ field, ledger }: DecideParts, wish: Wish, stamp: { id: string; at: Date }): Decision {
  const columns = field.settle();
  const { policy, nodes } = columns;
  const vmidReserved = ledger.vmidOwners(wish.constraints.vmid, nodes);
  const terms = termsOf({ ask: askOf(wish.spec, wish.constraints), policy, nodes, vmidReserved });
  const verdict = judge(columns, terms, stamp.id);
  const { winner } = verdict;
  const spec = winner === undefined ? undefined : resolveSpec(wish.spec, winner);
  const head: Decided['head'] = {
    id: stamp.id,
    at: stamp.at,
    summary: verdict.summary,
    spec: wish.spec,
    constraints: wish.constraints,
    chosenNodeUid: winner?.uid ?? '',
    chosenNodeName: winner?.node.name ?? '',
    chosenStorage: spec?.storage ?? '',
    chosenDevices: spec?.devices.map((device) => device.path) ?? [],
  };
  const evaluation = inWords(head, verdict.candidates);
  const stored = { head, vmidOwners: terms.vmidOwners };
  if (winner === undefined || spec === undefined) return { evaluation, stored, chosen: undefined };
  return { evaluation, stored, chosen: { on: winner, spec, claim: claimOf(terms, winner) } };
}

interface Judged {
  readonly winner: Assessed | undefined;
  readonly summary: string;
  /** A sentence for each node takes longer than the choice: made when somebody reads it, of the fleet as it was. */
  readonly candidates: () => Candidate[];
}

function judge(columns: Columns, terms: Terms, seed: string): Judged {
  const { first, second, fitting } = choose(columns, terms, seed);
  const winner = assessSlot(columns, terms, first);
  if (winner === undefined) {
    const { summary, candidates } = explain(evaluateAll(terms, columns.pin()(), seed));
    return { winner, summary, candidates: () => candidates };
  }
  // The snapshot and the ledger are asked again, by the rules that also write the reasons.
  if (!winner.isFeasible) throw new Error('the columns disagree with the snapshot of the node');
  const then = columns.pin();
  return {
    winner,
    summary: praise({ winner, second: assessSlot(columns, terms, second), fitting, of: columns.nodes.length }),
    candidates: () => explain(evaluateAll(terms, then(), seed)).candidates,
  };
}

function assessSlot({ nodes, held }: Columns, terms: Terms, slot: number): Assessed | undefined {
  const node = nodes[slot];
  return node === undefined ? undefined : assess(terms, node, held.get(slot) ?? NO_HOLDINGS);
}

function inWords(head: Decided['head'], make: () => Candidate[]): Evaluation {
  let made: Candidate[] | undefined;
  return {
    ...head,
    get candidates(): Candidate[] {
      return (made ??= make());
    },
  };
}
