import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hasControlCharacters,
  isId,
  type Parsed,
  parseAbsolutePath,
  parseDatasetName,
  parseGuestName,
  parseGuestUid,
  parseNodeName,
  parseNodeUid,
  parsePciAddress,
  parseSnapshotName,
  parseStorageId,
  parseTag,
  parseVmid,
} from './ids.ts';

const LONG = 'a'.repeat(300);

/** parser, accepted, refused */
const TABLE: readonly (readonly [string, (text: string) => Parsed<unknown>, readonly string[], readonly string[]])[] = [
  [
    'vmid',
    parseVmid,
    ['100', '999999999'],
    ['99', '1000000000', '0100', '1e3', ' 100', '100 ', '', '-100', '100.0', '１００'],
  ],
  ['node name', parseNodeName, ['pve1', 'a', 'PVE-2'], ['', '-pve', 'pve-', 'a.b', 'a_b', LONG]],
  [
    'guest name',
    parseGuestName,
    ['web', 'web.example', 'x1'],
    ['', 'a_b', 'a..b', '.a', 'a.', `${'a'.repeat(64)}.b`, LONG, 'a b', 'a\n'],
  ],
  ['storage id', parseStorageId, ['local', 'local-zfs', 'a1'], ['a', '1ab', 'ab-', 'a/b', LONG, '']],
  [
    'dataset',
    parseDatasetName,
    ['tank', 'tank/media', 'rpool/data/subvol-100-disk-0'],
    ['/tank', 'tank/', 'tank//a', 'tank/..', 'tank/.', 'tank@snap', '-r', 'tank/-r', '', LONG],
  ],
  ['snapshot', parseSnapshotName, ['ab', 'before_update-1'], ['a', '1abc', 'current', 'vzdump', 'a b', 'a'.repeat(41)]],
  [
    'pci address',
    parsePciAddress,
    ['0000:01:00.0', '01:00.0', '0000:0A:1f.7'],
    ['0000:01:00.8', '1:00.0', '0000:01:20.0', ''],
  ],
  ['tag', parseTag, ['web', 'a.b', '_x'], ['', 'a:b', '-a', 'a b', 'a;b']],
  ['node uid', parseNodeUid, ['n-abcdefgh234567ab'], ['n-abc', 'N-abcdefgh234567ab', 'n-abcdefgh234567a1']],
  ['guest uid', parseGuestUid, ['0'.repeat(32)], ['0'.repeat(31), 'G'.repeat(32)]],
  ['path', parseAbsolutePath, ['/', '/tank/media', '/a//b/'], ['a', '/a/../b', '/./a', '/a,b', '/a\nb', '']],
];

describe.each(TABLE)('parse %s', (...[, parse, good, bad]) => {
  it.each(good)('accepts %j', (text) => {
    expect(parse(text).ok).toBe(true);
  });
  it.each(bad)('refuses %j with a reason', (text) => {
    const parsed = parse(text);
    expect(parsed).toMatchObject({ ok: false });
    expect(parsed.ok ? '' : parsed.reason).not.toBe('');
  });
});

describe('parsed values', () => {
  it('are numbers for vmids and canonical for PCI addresses and paths', () => {
    expect(parseVmid('101')).toEqual({ ok: true, value: 101 });
    expect(parsePciAddress('0A:00.1')).toEqual({ ok: true, value: '0000:0a:00.1' });
    expect(parseAbsolutePath('/a//b/')).toEqual({ ok: true, value: '/a/b' });
  });

  it('know the four kinds of id', () => {
    expect(isId('evaluation', `ev-${'1'.repeat(26)}`)).toBe(true);
    expect(isId('reservation', `ev-${'1'.repeat(26)}`)).toBe(false);
  });
});

describe('no name that is accepted', () => {
  const parsers = [parseNodeName, parseGuestName, parseStorageId, parseDatasetName, parseSnapshotName, parseTag];
  it('begins with a dash, holds a control character, a blank, a comma or an equals sign', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), fc.constantFrom(...parsers), (text, parse) => {
        if (!parse(text).ok) return;
        expect(text).not.toMatch(/^-|[\s,=]/);
        expect(hasControlCharacters(text)).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('control characters', () => {
  it.each(['\n', '\r', '\t', '\u0000', '\u007f', '\u0085', '\u2028'])('%j is one', (text) => {
    expect(hasControlCharacters(`a${text}b`)).toBe(true);
  });
  it('are not letters of any script', () => {
    expect(hasControlCharacters('Grüße 世界')).toBe(false);
  });
});
