/** Values of an answer as people read them (pve-common src/PVE/Format.pm, src/PVE/CLIFormatter.pm data_to_text). */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const STEPS = [
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

function bytes(value: number): string {
  const unit = value > 1023 ? Math.floor(Math.log(value) / Math.log(1024)) : 0;
  return `${(value / 1024 ** unit).toFixed(2)} ${UNITS[unit] ?? ''}`;
}

/** No minutes beside weeks, no seconds beside days. */
function duration(seconds: number): string {
  let rest = Math.round(seconds);
  if (rest === 0) return '0s';
  const shown: string[] = [];
  for (const [unit, length] of STEPS) {
    const count = Math.floor(rest / length);
    const isTooFine =
      (unit === 'm' && shown.some((one) => one.endsWith('w'))) ||
      (unit === 's' && shown.some((one) => /[wd]$/.test(one)));
    if (count === 0 || isTooFine) continue;
    shown.push(`${count}${unit}`);
    rest -= count * length;
  }
  return shown.join(' ');
}

function timestamp(epoch: number): string {
  return new Date(epoch * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

const RENDERERS: Readonly<Record<string, (value: number) => string>> = {
  bytes,
  duration,
  timestamp,
  timestamp_gmt: timestamp,
  fraction_as_percentage: (value) => `${(value * 100).toFixed(2)}%`,
};

/** undefined: there is no rule for it, and it is shown as it is. */
export function rendered(renderer: string | undefined, value: unknown): string | undefined {
  const number = Number(value);
  return renderer === undefined || Number.isNaN(number) ? undefined : RENDERERS[renderer]?.(number);
}
