/** `--limit N` of lists. */
import type { Problems } from './problems.ts';

const DEFAULT = 50;
const MAX = 1000;

export function parseLimit(value: string | undefined, problems: Problems): number {
  const limit = /^\d+$/.test(value ?? '') ? Number(value) : value === undefined ? DEFAULT : Number.NaN;
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX) return limit;
  problems.add(`--limit ${value ?? ''}`, `must be a whole number from 1 to ${MAX}`);
  return DEFAULT;
}
