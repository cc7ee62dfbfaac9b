/**
 * schedule/: where a container goes and why not elsewhere. Pure: values in, values out; no clock, no randomness, no npm
 * package. Time and seed are arguments. Every node is looked at and every refusal is kept. Imports domain and contract only.
 */
import type { PlacementAsk, PlacementPolicy } from '../domain/placement.ts';
import { type Holdings, NO_HOLDINGS } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { type Fit, fitNode, type Terms, type VmidOwner } from './feasible.ts';
import { byMerit } from './pick.ts';
import { rankNode } from './rank.ts';

export interface Question {
  readonly ask: PlacementAsk;
  readonly policy: PlacementPolicy;
  readonly nodes: readonly NodeSnapshot[];
  /** By node uid; a node without entry has nothing promised. */
  readonly holdings: ReadonlyMap<string, Holdings>;
  /** Active reservations of the asked vmid. */
  readonly vmidReserved: readonly VmidOwner[];
  /** Breaks ties; the same seed gives the same answer. */
  readonly seed: string;
}

export interface Assessed {
  readonly uid: string;
  readonly node: NodeSnapshot;
  readonly held: Holdings;
  readonly fit: Fit;
  readonly isFeasible: boolean;
  /** One per criterion; empty when not feasible. */
  readonly values: readonly number[];
  readonly total: number;
}

export interface Verdict {
  readonly terms: Terms;
  readonly winner: Assessed | undefined;
  /** Every node: feasible ones by merit, then the others by name. */
  readonly assessed: readonly Assessed[];
}

const NO_VALUES: readonly number[] = [];

export function evaluate(question: Question): Verdict {
  const { nodes, holdings, seed } = question;
  const held = nodes.map((node) => holdings.get(node.uid) ?? NO_HOLDINGS);
  return evaluateAll(termsOf(question), { nodes, held }, seed);
}

/** The fleet as lists; what is held on a node has its place. */
export interface Field {
  readonly nodes: readonly NodeSnapshot[];
  readonly held: readonly Holdings[];
}

export function evaluateAll(terms: Terms, { nodes, held }: Field, seed: string): Verdict {
  const feasible: Assessed[] = [];
  const refused: Assessed[] = [];
  nodes.forEach((node, index) => {
    const assessed = assess(terms, node, held[index] ?? NO_HOLDINGS);
    (assessed.isFeasible ? feasible : refused).push(assessed);
  });
  const merited = byMerit(feasible, seed);
  refused.sort((a, b) => (a.node.name === b.node.name ? (a.uid < b.uid ? -1 : 1) : a.node.name < b.node.name ? -1 : 1));
  return { terms, winner: merited[0], assessed: [...merited, ...refused] };
}

/** One node alone; the ledger asks this again inside its transaction. */
export function assess(terms: Terms, node: NodeSnapshot, held: Holdings): Assessed {
  const fit = fitNode(terms, node, held);
  if (fit.reasons.length > 0) return { uid: node.uid, node, held, fit, isFeasible: false, values: NO_VALUES, total: 0 };
  const { values, total } = rankNode({ terms, node, held, fit });
  return { uid: node.uid, node, held, fit, isFeasible: true, values, total };
}

export function termsOf(question: Omit<Question, 'holdings' | 'seed'>): Terms {
  const { ask, policy, nodes } = question;
  return {
    ask,
    policy,
    vmidOwners: ask.vmid === 0 ? [] : [...guestsWith(ask.vmid, nodes), ...question.vmidReserved],
    isOnlyNode: nodes.length === 1,
  };
}

function guestsWith(vmid: number, nodes: readonly NodeSnapshot[]): VmidOwner[] {
  const owners: VmidOwner[] = [];
  for (const node of nodes) {
    const guest = node.guests.get(vmid);
    if (guest !== undefined)
      owners.push({
        nodeUid: node.uid,
        nodeName: node.name,
        cluster: node.cluster,
        holder: `${guest.kind} ${guest.name}`,
      });
  }
  return owners;
}
