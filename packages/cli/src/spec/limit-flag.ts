/** `--limit N` of lists. */
import { limits } from '@pxmgr/contract';
import type { Problems } from './problems.ts';

export function parseLimit(value: string | undefined, problems: Problems): number {
  const limit = /^\d+$/.test(value ?? '')
    ? Number(value)
    : value === undefined
      ? limits.HISTORY_ROWS_DEFAULT
      : Number.NaN;
  if (Number.isInteger(limit) && limit >= 1 && limit <= limits.HISTORY_ROWS_MAX) return limit;
  problems.add(`--limit ${value ?? ''}`, `must be a whole number from 1 to ${limits.HISTORY_ROWS_MAX}`);
  return limits.HISTORY_ROWS_DEFAULT;
}
