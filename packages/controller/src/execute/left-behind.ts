import type { Operation, Problem } from '@pxmgr/contract/common';
import type { Clock } from '@pxmgr/kit/clock';
import type { Records } from '../plan/records.ts';

/** After this whoever looks at the fleet has been told; the operation still says it. */
const TOLD_MS = 86_400_000;
const FAILED_MAX = 200;
const TOLD_MAX = 20;

/** What operations that failed lately could not take away, or left on purpose; newest first. Nobody else tells of it. */
export function leftBehind({ records, clock }: { readonly records: Records; readonly clock: Clock }): Problem[] {
  const since = clock.now().getTime() - TOLD_MS;
  return records.operations.failedSince(since, FAILED_MAX).flatMap(problemOf).slice(0, TOLD_MAX);
}

function problemOf({ id, nodeName, problem, warnings }: Operation): Problem[] {
  if (problem === undefined) return [];
  if (problem.code === 'PXM_UNDO_INCOMPLETE') return [problem];
  return warnings.length === 0 ? [] : [{ ...problem, message: `${nodeName}: ${id}: ${warnings.join('; ')}` }];
}
