import { describe, expect, it } from 'vitest';
import { CAPABILITIES, capabilityNeeds } from './capabilities.ts';
import { mayTalk } from './compat.ts';
import { ERROR_TABLE, type ErrorCode, errorRow, fillTemplate, isErrorCode, RETIRED_CODES } from './error-codes.ts';
import { decodeErrorDetail, encodeErrorDetail } from './error-detail.ts';
import { formatJoinToken, parseJoinToken } from './join-token.ts';
import { hasEnded, mayMove, OPERATION_MOVES, PLAN_MOVES } from './states.ts';

const CODES = Object.keys(ERROR_TABLE) as ErrorCode[];
/** Codes where the user can do nothing more than read the message. */
const WITHOUT_HINT = ['PXM_OPERATION_ENDED', 'PXM_CANCELLED'];

describe('the error table', () => {
  it.each(CODES)('%s has a message, a hint where one can act, and a known exit code', (code) => {
    const row = errorRow(code);
    expect(code).toMatch(/^PXM_[A-Z_]+$/);
    expect(row.message).not.toBe('');
    expect([1, 2, 3, 4, 5, 6, 7, 8, 130]).toContain(row.exit);
    if (!WITHOUT_HINT.includes(code)) expect(row.hint).not.toBe('');
  });

  it('never takes up a retired code', () => {
    for (const code of RETIRED_CODES) expect(isErrorCode(code)).toBe(false);
    expect(isErrorCode('PXM_INTERNAL')).toBe(true);
    expect(isErrorCode('toString')).toBe(false);
  });

  it('fills templates and leaves missing fields visible', () => {
    expect(fillTemplate('container {vmid} on {node}', { vmid: '101' })).toBe('container 101 on {node}');
    expect(fillTemplate('has {n} problem(s): {p}', { n: '1', p: 'x(s)' })).toBe('has 1 problem: x(s)');
    expect(fillTemplate('has {n} problem(s)', { n: '2' })).toBe('has 2 problems');
  });
});

describe('error details', () => {
  it('survive the trailer', () => {
    const bytes = encodeErrorDetail(9, 'locked', { code: 'PXM_GUEST_LOCKED', fields: { vmid: '101', lock: 'backup' } });
    expect(decodeErrorDetail(bytes)).toEqual({ code: 'PXM_GUEST_LOCKED', fields: { vmid: '101', lock: 'backup' } });
  });

  it('of others, or cut, are not ours', () => {
    expect(decodeErrorDetail(new Uint8Array())).toBeUndefined();
    expect(decodeErrorDetail(Uint8Array.from([0x1a, 0xff, 0xff]))).toBeUndefined();
  });
});

describe('join tokens', () => {
  const token = {
    address: 'ctl.test:7444',
    caFingerprint: 'a'.repeat(64),
    secret: 's'.repeat(32),
    expiresAt: new Date('2026-11-20T12:00:00Z'),
    nodeName: 'pve1',
  };

  it('survive print and parse, with and without a node name', () => {
    expect(parseJoinToken(formatJoinToken(token))).toEqual(token);
    expect(parseJoinToken(formatJoinToken({ ...token, nodeName: undefined }))?.nodeName).toBeUndefined();
  });

  it.each([
    '',
    'pxj1.',
    'pxj1.!!!',
    `pxj1.${Buffer.from('[]').toString('base64url')}`,
    `pxj1.${Buffer.from('1').toString('base64url')}`,
    formatJoinToken(token).slice(0, -9),
    formatJoinToken({ ...token, caFingerprint: 'x' }),
    formatJoinToken({ ...token, secret: 'short' }),
  ])('that are not whole are refused: %j', (text) => {
    expect(parseJoinToken(text)).toBeUndefined();
  });
});

describe('states', () => {
  it('move only as the table says', () => {
    expect(mayMove(OPERATION_MOVES, 'running', 'done')).toBe(true);
    expect(mayMove(OPERATION_MOVES, 'done', 'running')).toBe(false);
    expect(mayMove(PLAN_MOVES, 'nothing', 'done')).toBe(false);
    expect(hasEnded('failed')).toBe(true);
    expect(hasEnded('queued')).toBe(false);
  });
});

describe('versions and abilities', () => {
  it('talk to their neighbours only', () => {
    expect(mayTalk(2, 3)).toBe(true);
    expect(mayTalk(1, 3)).toBe(false);
  });

  it('say what they need', () => {
    for (const { name } of CAPABILITIES) expect(capabilityNeeds(name)).not.toBe('');
  });
});
