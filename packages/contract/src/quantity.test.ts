import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from './quantity.ts';

describe('sizes', () => {
  it.each([
    ['512MiB', 512 * 2 ** 20],
    ['8G', 8 * 2 ** 30],
    ['1.5TiB', 1.5 * 2 ** 40],
    ['0B', 0],
    [' 4 GiB ', 4 * 2 ** 30],
  ])('%s is read', (text, bytes) => {
    expect(parseSize(text)).toEqual({ ok: true, value: bytes });
  });

  it.each(['8', '', 'x', '8GB', '8 XiB', '-1GiB', '0.3B', '99999999999PiB', '1e3MiB'])(
    '%j is refused with a reason',
    (text) => {
      const parsed = parseSize(text);
      expect(parsed).toMatchObject({ ok: false });
      expect(parsed.ok ? '' : parsed.reason).not.toBe('');
    },
  );

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [8 * 2 ** 30, '8 GiB'],
    [5_000_000_000n, '4.7 GiB'],
    [3 * 2 ** 60, '3072 PiB'],
  ])('%d prints as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it('whole units survive print and parse', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1023 }), fc.constantFrom(0, 10, 20, 30, 40), (count, power) => {
        const bytes = count * 2 ** power;
        expect(parseSize(formatSize(bytes))).toEqual({ ok: true, value: bytes });
      }),
    );
  });
});

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ])('%s is read', (text, ms) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: ms });
  });

  it.each(['30', '', 's', '3w', '-1s'])('%j is refused', (text) => {
    expect(parseDuration(text)).toMatchObject({ ok: false });
  });

  it.each([
    [-86_400_000, '-'],
    [850, '850ms'],
    [4200, '4.2s'],
    [9000, '9s'],
    [59_400, '59s'],
    [185_000, '3m 5s'],
    [7_800_000, '2h 10m'],
    [86_400_000, '1d'],
  ])('%d prints as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
