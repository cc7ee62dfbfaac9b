import type { Check } from '@pxmgr/contract/controller';
import { toProblem, toPxmError } from '@pxmgr/kit/error/to-problem';

export type CheckVerdict = {
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped';
  readonly detail: string;
  readonly fix?: string;
};

/** One thing that can be wrong, with a stable code and what to do about it. */
export interface SelfCheck {
  readonly code: string;
  readonly title: string;
  /** A throw means failed; its hint becomes the fix. */
  run(signal: AbortSignal): Promise<CheckVerdict> | CheckVerdict;
}

/** All at once; the order of the list is kept. */
export async function runChecks(checks: readonly SelfCheck[], signal: AbortSignal): Promise<Check[]> {
  return await Promise.all(checks.map(async (check) => await runCheck(check, signal)));
}

async function runCheck(check: SelfCheck, signal: AbortSignal): Promise<Check> {
  const startedMs = performance.now();
  const base = { code: check.code, title: check.title, fix: '', problem: undefined };
  const duration = (): number => Math.round(performance.now() - startedMs);
  try {
    const { status, detail, fix = '' } = await check.run(signal);
    return { ...base, status, detail, fix, durationMs: duration() };
  } catch (error) {
    const failure = toPxmError(error);
    return {
      ...base,
      status: 'failed',
      detail: failure.message,
      fix: failure.hint ?? '',
      problem: toProblem(failure),
      durationMs: duration(),
    };
  }
}
