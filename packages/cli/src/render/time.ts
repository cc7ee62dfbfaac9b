/** Times for people: relative in tables, exact in details. */
import { formatDuration } from '@pxmgr/contract';

/** "3m 5s ago", "in 12m", "-" when there is none. */
export function relativeTime(at: Date | undefined, now: Date): string {
  if (at === undefined || at.getTime() === 0) return '-';
  const ms = now.getTime() - at.getTime();
  if (Math.abs(ms) < 1000) return 'now';
  return ms >= 0 ? `${formatDuration(ms)} ago` : `in ${formatDuration(-ms)}`;
}

/** "2026-11-20 11:42:07Z" */
export function exactTime(at: Date | undefined): string {
  if (at === undefined || at.getTime() === 0) return '-';
  return at
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}
