/** A decision explained later: the same question over the same facts gives the same words. */
import type { Evaluation } from '@pxmgr/contract/controller';
import { askOf, type PlacementPolicy } from '../domain/placement.ts';
import { evaluateAll, type Field } from './evaluate.ts';
import { explain } from './explain.ts';
import type { VmidOwner } from './feasible.ts';

export interface Facts extends Field {
  readonly policy: PlacementPolicy;
  readonly vmidOwners: readonly VmidOwner[];
}

/** Fills in the candidates. Where the rules have changed since (a newer release), the sentence says so: what was decided stays. */
export function explainAgain(stored: Evaluation, facts: Facts): Evaluation {
  const { spec, constraints } = stored;
  if (spec === undefined || constraints === undefined) return stored;
  const ask = askOf(spec, constraints);
  const { policy, vmidOwners, nodes } = facts;
  const verdict = evaluateAll({ ask, policy, vmidOwners, isOnlyNode: nodes.length === 1 }, facts, stored.id);
  const { summary, candidates } = explain(verdict);
  if (summary === stored.summary) return { ...stored, candidates };
  return {
    ...stored,
    candidates,
    summary: `${stored.summary} (Decided by the rules of another release; the figures below follow the rules of this one.)`,
  };
}
