/** Operations: states as words, one operation in full. */
import { formatDuration } from '@pxmgr/contract';
import { type Operation, OperationState } from '@pxmgr/contract/common';
import { quoteWord } from '@pxmgr/kit/exec/command';
import { renderPairs } from './table.ts';
import { paintState, type Theme } from './theme.ts';
import { exactTime } from './time.ts';

const WORDS: Readonly<Record<number, string>> = {
  [OperationState.OPERATION_STATE_QUEUED]: 'queued',
  [OperationState.OPERATION_STATE_RUNNING]: 'running',
  [OperationState.OPERATION_STATE_DONE]: 'done',
  [OperationState.OPERATION_STATE_FAILED]: 'failed',
  [OperationState.OPERATION_STATE_CANCELLED]: 'cancelled',
};

export function stateWord(state: OperationState): string {
  return WORDS[state] ?? 'unknown';
}

export function hasEnded(operation: Operation): boolean {
  return ['done', 'failed', 'cancelled'].includes(stateWord(operation.state));
}

export function elapsed(from: Date | undefined, to: Date | undefined, now: Date): string {
  if (from === undefined) return '-';
  return formatDuration((to ?? now).getTime() - from.getTime());
}

/** JSON form: states as words. */
export function operationJson(operation: Operation): unknown {
  return {
    ...operation,
    state: stateWord(operation.state),
    steps: operation.steps.map((step) => ({ ...step, state: stateWord(step.state) })),
  };
}

export function renderOperation(operation: Operation, theme: Theme, now: Date): string[] {
  const problem = operation.problem;
  const lines = renderPairs([
    ['operation', operation.id],
    ['what', operation.title],
    ['state', paintState(theme, stateWord(operation.state))],
    ['node', operation.nodeName],
    ['vmid', operation.vmid === 0 ? '' : String(operation.vmid)],
    ['plan', operation.planId],
    ['created', exactTime(operation.createdAt)],
    ['took', elapsed(operation.startedAt, operation.endedAt, now)],
    ['recovery', operation.recovery],
    ...Object.entries(operation.results)
      .filter(([key]) => key !== 'vmid')
      .map(([key, value]): [string, string] => [key.replaceAll('_', ' '), quoteWord(value)]),
    ...operation.upids.map((upid, index): [string, string] => [index === 0 ? 'proxmox tasks' : ' ', upid]),
    ['problem', problem === undefined ? '' : `${problem.code}: ${problem.message}`],
    ['hint', problem?.hint ?? ''],
  ]);
  if (operation.steps.length > 0) lines.push('steps');
  for (const step of operation.steps) {
    const state = paintState(theme, stateWord(step.state));
    lines.push(
      `  ${step.index}. ${step.title}  ${state}  ${theme.dim(elapsed(step.startedAt, step.endedAt, now))}${step.detail === '' ? '' : `  ${step.detail}`}`,
    );
  }
  lines.push(...operation.warnings.map((warning) => `${theme.warn('warning:')} ${warning}`));
  return lines;
}
