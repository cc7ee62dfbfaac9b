/** `--since TIME` and `--until TIME` of lists. */
import { parseDuration } from '@pxmgr/contract';
import type { Problems } from './problems.ts';

/** A point in time, or how long before `now`. */
export function parseMoment(
  flag: readonly [name: string, value: string | undefined],
  now: Date,
  problems: Problems,
): Date | undefined {
  const [name, value] = flag;
  if (value === undefined) return undefined;
  const ago = parseDuration(value);
  if (ago.ok) return new Date(now.getTime() - ago.value);
  const at = new Date(value);
  if (!Number.isNaN(at.getTime()) && /^\d{4}-\d{2}-\d{2}/.test(value)) return at;
  problems.add(`--${name} ${value}`, 'write a time like 2026-11-20T08:00:00Z, or how long ago, like 2h');
  return undefined;
}
