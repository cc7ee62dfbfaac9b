/** Sizes and durations with units: parse and print. Plain numbers are refused: "8" of what? */
import type { Parsed } from './ids.ts';

const BINARY: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
};
const SHORT: Readonly<Record<string, string>> = { K: 'KiB', M: 'MiB', G: 'GiB', T: 'TiB', P: 'PiB' };
const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "512MiB", "8GiB", "1.5TiB"; K M G T P alone mean the binary units, as in Proxmox. Result in whole bytes. */
export function parseSize(text: string): Parsed<number> {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)?$/.exec(text.trim());
  if (match === null) return { ok: false, reason: 'it is not a number with a unit' };
  const unit = match[2];
  if (unit === undefined) return { ok: false, reason: `the unit is missing (${text}MiB? ${text}GiB?)` };
  const factor = BINARY[SHORT[unit] ?? unit];
  if (factor === undefined) return { ok: false, reason: `"${unit}" is not one of B, KiB, MiB, GiB, TiB, PiB` };
  const bytes = Number(match[1]) * factor;
  if (!Number.isSafeInteger(Math.round(bytes))) return { ok: false, reason: 'it is too large' };
  if (Math.abs(bytes - Math.round(bytes)) > 1e-6) return { ok: false, reason: 'it is not a whole number of bytes' };
  return { ok: true, value: Math.round(bytes) };
}

/** Largest unit that keeps at least one digit before the point, one decimal where needed: "1.5 GiB". */
export function formatSize(bytes: number | bigint): string {
  let value = Number(bytes);
  const units = Object.keys(BINARY);
  let index = 0;
  while (Math.abs(value) >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  const text = Number.isInteger(value) || index === 0 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
  return `${text} ${units[index] ?? 'B'}`;
}

/** "250ms", "30s", "15m", "2h", "7d"; result in milliseconds. */
export function parseDuration(text: string): Parsed<number> {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (match === null) return { ok: false, reason: 'it is not a number with one of ms, s, m, h, d' };
  const unit = match[2];
  if (unit === undefined) return { ok: false, reason: `the unit is missing (${text}s? ${text}m?)` };
  const ms = Math.round(Number(match[1]) * (DURATION_MS[unit] ?? 1));
  return Number.isSafeInteger(ms) ? { ok: true, value: ms } : { ok: false, reason: 'it is too long' };
}

/** "850ms", "4.2s", "3m 5s", "2h 10m", "5d 3h"; "-" between two readings of a clock that was set back in between. */
export function formatDuration(ms: number): string {
  if (ms < 0) return '-';
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0).replace(/\.0$/, '')}s`;
  const pairs: readonly (readonly [string, number, string, number])[] = [
    ['d', 86_400_000, 'h', 3_600_000],
    ['h', 3_600_000, 'm', 60_000],
    ['m', 60_000, 's', 1000],
  ];
  for (const [big, bigMs, small, smallMs] of pairs) {
    if (ms < bigMs) continue;
    const rest = Math.floor((ms % bigMs) / smallMs);
    return `${Math.floor(ms / bigMs)}${big}${rest === 0 ? '' : ` ${rest}${small}`}`;
  }
  return `${Math.round(ms)}ms`;
}
