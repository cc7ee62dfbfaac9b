/** The words of the fleet: names, ids, references, sizes, subjects, tokens, task ids. */
import * as contract from '@pxmgr/contract';
import fc from 'fast-check';
import { expect } from 'vitest';
import { hostile, near } from './hostile.ts';
import { expectPlain, plainName, type Row, row, textRow } from './row.ts';

const UPID = 'UPID:pve1:000A1B2C:0123456A:69200000:vzcreate:101:root@pam:';
const DIGEST = `sha256:${'ab'.repeat(32)}`;
const TOKEN = contract.formatJoinToken({
  address: '192.0.2.1:7444',
  caFingerprint: 'ab'.repeat(32),
  secret: 'a-secret-of-a-token',
  expiresAt: new Date('2026-01-01'),
  nodeName: 'pve1',
});

const NAMES: readonly (readonly [string, (text: string) => contract.Parsed<string>, readonly string[]])[] = [
  ['parseNodeName', contract.parseNodeName, ['pve1', 'a-b', 'x'.repeat(63)]],
  ['parseGuestName', contract.parseGuestName, ['web', 'web.example.org', 'a-b.c']],
  ['parseStorageId', contract.parseStorageId, ['local-zfs', 'local', 'a.b_c']],
  ['parseDatasetName', contract.parseDatasetName, ['tank/media', 'rpool/data/subvol-101-disk-0', 'tank']],
  ['parseSnapshotName', contract.parseSnapshotName, ['before-update', 'a_b', 'current']],
  ['parsePciAddress', contract.parsePciAddress, ['0000:01:00.0', '01:00.0', '10000:E1:00.7']],
  ['parseTag', contract.parseTag, ['media', 'a+b', 'team.x']],
  ['parseNodeUid', contract.parseNodeUid, ['n-abcdefghijklmnop', `n-${'a2'.repeat(8)}`]],
  ['parseGuestUid', contract.parseGuestUid, ['0123456789abcdef'.repeat(2)]],
  ['parseAbsolutePath', contract.parseAbsolutePath, ['/tank/media', '/', '/a//b/', '/a/../b']],
];

export const CONTRACT_ROWS: readonly Row[] = [
  ...NAMES.map(([name, parse, samples]) => textRow(name, near(...samples), plainName(parse))),
  textRow('parseVmid', near('100', '999999999', '1000000000', '0100'), (text) => {
    const parsed = contract.parseVmid(text);
    if (!parsed.ok) return;
    expect(String(parsed.value)).toBe(text);
    expect(parsed.value).toBeGreaterThanOrEqual(100);
    expect(parsed.value).toBeLessThan(1_000_000_000);
  }),
  textRow(
    ['parseImageReference', 'formatImageReference'],
    near(
      'nginx',
      'docker.io/library/nginx:1.27',
      `ghcr.io/a/b__c@${DIGEST}`,
      'localhost:5000/x:y',
      '[::1]:5000/a',
      `docker://a/b:c@${DIGEST}`,
    ),
    (text) => {
      const parsed = contract.parseImageReference(text);
      if (!parsed.ok) return;
      const printed = contract.formatImageReference(parsed.value);
      expectPlain(printed);
      expect(printed).not.toMatch(/[\s,;'"\\$`]/);
      expect(contract.parseImageReference(printed)).toEqual(parsed);
    },
  ),
  textRow('parseSize', near('512MiB', '1.5TiB', '8 G', '0.1B', '9999999PiB'), (text) => {
    const parsed = contract.parseSize(text);
    if (parsed.ok) expect(Number.isSafeInteger(parsed.value) && parsed.value >= 0, text).toBe(true);
  }),
  row('formatSize', fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
    const text = contract.formatSize(bytes);
    const again = contract.parseSize(text);
    expect(again.ok || /not a whole number of bytes/.test(again.reason), text).toBe(true);
    if (again.ok) expect(Math.abs(again.value - bytes)).toBeLessThanOrEqual(bytes * 0.051);
  }),
  textRow('parseDuration', near('250ms', '30s', '1.5h', '7d', '99999999999999999999d'), (text) => {
    const parsed = contract.parseDuration(text);
    if (parsed.ok) expect(Number.isSafeInteger(parsed.value) && parsed.value >= 0, text).toBe(true);
  }),
  row('formatDuration', fc.integer({ min: 0, max: 2 ** 50 }), (ms) => {
    expect(contract.formatDuration(ms)).toMatch(/^\d+(?:\.\d)?(?:ms|s|m|h|d)(?: \d+[smh])?$/);
  }),
  textRow(
    ['parseUpid', 'formatUpid'],
    near(UPID, UPID.replace('0123456A', '10123456A'), UPID.replace(':101:', '::')),
    (text) => {
      const parsed = contract.parseUpid(text);
      if (parsed === undefined) return;
      expectPlain(text);
      expect(contract.taskLogPath(parsed)).toMatch(/^\/var\/log\/pve\/tasks\/[0-9A-F]\/UPID:[^/]*$/);
      expect(contract.parseUpid(contract.formatUpid(parsed))).toEqual(parsed);
    },
  ),
  textRow(
    ['parseTaskStatus', 'parseTaskLogEnd'],
    near('OK', 'WARNINGS: 3', 'TASK OK', 'TASK ERROR: boom', 'unexpected status'),
    (text) => {
      contract.parseTaskStatus(text);
      contract.parseTaskLogEnd(text);
    },
  ),
  textRow(['parseJoinToken', 'formatJoinToken'], fc.oneof(near(TOKEN), tokenOf()), (text) => {
    const parsed = contract.parseJoinToken(text);
    if (parsed === undefined) return;
    expect(contract.parseJoinToken(contract.formatJoinToken(parsed))).toEqual(parsed);
    expectPlain(parsed.address);
    expect(Number.isNaN(parsed.expiresAt.getTime())).toBe(false);
    if (parsed.nodeName !== undefined) expect(contract.parseNodeName(parsed.nodeName).ok).toBe(true);
  }),
  row(
    ['parseInventorySubject'],
    fc.tuple(
      fc.constantFrom(...contract.INVENTORY_KINDS),
      hostile.filter((id) => id !== ''),
    ),
    ([kind, id]) => {
      const subject = contract.inventorySubject('n-abcdefghijklmnop', kind, id);
      // One token each: an id can reach no subject but its own.
      expect(subject.split('.')).toHaveLength(5);
      expect(subject).not.toMatch(/[*>\s]/);
      expect(contract.parseInventorySubject(subject)).toEqual({ nodeUid: 'n-abcdefghijklmnop', kind, id });
    },
  ),
  textRow(
    'parseInventorySubject',
    near(contract.inventorySubject('n-abcdefghijklmnop', 'vm', '100'), 'px.hb.n-a'),
    (text) => {
      contract.parseInventorySubject(text);
      contract.nodeUidOf(text);
    },
  ),
];

/** Tokens whose text is whole and whose content is not. */
function tokenOf(): fc.Arbitrary<string> {
  const field = fc.oneof(hostile, fc.jsonValue());
  const right = { a: '192.0.2.1:7444', f: 'ab'.repeat(32), s: 'a-secret-of-a-token', e: 1_767_225_600, n: 'pve1' };
  return fc
    .record({ a: field, f: field, s: field, e: fc.oneof(field, fc.double()), n: field }, { requiredKeys: [] })
    .map((body) => `pxj1.${Buffer.from(JSON.stringify({ ...right, ...body })).toString('base64url')}`);
}
