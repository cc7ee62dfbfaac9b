/** Times for people: relative in tables, exact in details. */

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

/** One unit is enough for a column: 5m, 3h, 12d. */
function rough(ms: number): string {
  const [unit, size] = UNITS.find(([, one]) => ms >= one) ?? ['s', 1000];
  return `${Math.floor(ms / size)}${unit}`;
}

/** "5m ago", "in 12m", "-" when there is none. */
export function relativeTime(at: Date | undefined, now: Date): string {
  if (at === undefined || at.getTime() === 0) return '-';
  const ms = now.getTime() - at.getTime();
  if (Math.abs(ms) < 1000) return 'now';
  return ms >= 0 ? `${rough(ms)} ago` : `in ${rough(-ms)}`;
}

/** "2026-11-20 11:42:07Z" */
export function exactTime(at: Date | undefined): string {
  if (at === undefined || at.getTime() === 0) return '-';
  return at
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}
