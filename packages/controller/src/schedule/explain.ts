/** The verdict for people: one sentence, and a candidate per node with reasons or scores. */
import type { Candidate, Reason } from '@pxmgr/contract/controller';
import type { Assessed, Verdict } from './evaluate.ts';
import { CRITERIA } from './rank.ts';
import { FILTERS } from './reason.ts';

export interface Explanation {
  readonly summary: string;
  readonly candidates: Candidate[];
}

export function explain(verdict: Verdict): Explanation {
  let rank = 0;
  const candidates = verdict.assessed.map((assessed) =>
    candidate(verdict, assessed, assessed.isFeasible ? (rank += 1) : 0),
  );
  return { summary: summarise(verdict), candidates };
}

/** Words cost room; beyond these ranks the figures alone tell enough. */
const RANKS_IN_WORDS = 20;

function candidate({ terms }: Verdict, assessed: Assessed, rank: number): Candidate {
  const { node, held, fit, values, total } = assessed;
  const scores = values.map((value, index) => {
    const criterion = CRITERIA[index];
    return {
      name: criterion?.name ?? '',
      weight: criterion?.weight ?? 0,
      value,
      text: rank <= RANKS_IN_WORDS ? (criterion?.text({ terms, node, held, fit }) ?? '') : '',
    };
  });
  return {
    nodeUid: node.uid,
    nodeName: node.name,
    feasible: assessed.isFeasible,
    rank,
    reasons: [...fit.reasons],
    scores,
    total,
  };
}

function summarise(verdict: Verdict): string {
  const { winner, assessed } = verdict;
  if (assessed.length === 0) return 'the fleet has no nodes';
  if (winner === undefined) return `${whyNone(assessed)}.`;
  const feasible = assessed.filter((one) => one.isFeasible);
  return praise({ winner, second: feasible[1], fitting: feasible.length, of: assessed.length });
}

/** Why the winner: the sentence when some node fits. */
export function praise(by: { winner: Assessed; second: Assessed | undefined; fitting: number; of: number }): string {
  const { winner, second } = by;
  if (second === undefined)
    return `${winner.node.name}: ${by.of === 1 ? 'the only node, and it fits' : `the only one of ${String(by.of)} nodes that fits`}.`;
  const lead = leads(winner, second);
  return `${winner.node.name} is the best of ${String(by.fitting)} nodes that fit: ${lead === '' ? `equal to ${second.node.name}` : `ahead of ${second.node.name} in ${lead}`}.`;
}

/** The criteria that made the difference, the largest first. */
function leads(winner: Assessed, second: Assessed): string {
  const gains = CRITERIA.map((criterion, index) => ({
    name: criterion.name,
    gain: criterion.weight * ((winner.values[index] ?? 0) - (second.values[index] ?? 0)),
  }));
  const top = gains.filter((one) => one.gain > 1e-6).sort((a, b) => b.gain - a.gain);
  return top
    .slice(0, 2)
    .map((one) => one.name)
    .join(' and ');
}

/** Each node is counted under its first reason, in the order of the filters. A fleet of one gets the reason itself. */
function whyNone(assessed: readonly Assessed[]): string {
  const [only] = assessed;
  if (assessed.length === 1 && only !== undefined)
    return `${only.node.name}: ${only.fit.reasons.map((reason) => reason.text).join('; ')}`;
  const open = assessed.filter((one) => one.fit.reasons[0]?.filter !== 'constraint');
  const [named] = open;
  if (open.length === 1 && named !== undefined)
    return `${named.node.name}: ${named.fit.reasons.map((reason) => reason.text).join('; ')}`;
  const names = new Map<string, string[]>();
  for (const one of assessed) {
    const first: Reason | undefined = one.fit.reasons[0];
    if (first !== undefined) names.set(first.filter, [...(names.get(first.filter) ?? []), one.node.name]);
  }
  return Object.entries(FILTERS)
    .filter(([filter]) => names.has(filter))
    .map(([filter, words]) => `${nodeList(names.get(filter) ?? [])}: ${words}`)
    .join('; ');
}

function nodeList(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 2).join(', ')} and ${String(names.length - 2)} more`;
}
