import { Metadata } from '@grpc/grpc-js';
import { ERROR_TABLE, type ErrorCode } from '@pxmgr/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { forgetSecrets, registerSecret } from '../log/redact.ts';
import { causeMessages } from './chain.ts';
import { fromServiceError, tlsRefusal } from './from-status.ts';
import { PxmError } from './pxm-error.ts';
import { fromProblem, toProblem } from './to-problem.ts';
import { toServiceError } from './to-status.ts';

afterEach(forgetSecrets);

function serviceError(code: number, details: string): Error {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}

describe('PxmError', () => {
  it('fills text and hint from the table and appends the detail', () => {
    const error = new PxmError('PXM_GUEST_NOT_RUNNING', { vmid: '101', node: 'pve2' }, { detail: 'since noon' });
    expect(error.message).toBe('container 101 on pve2 is not running: since noon');
    expect(error.hint).toBe('start it first: pxmgr container start 101');
    expect(error.row.exit).toBe(4);
  });

  it('survives the wire whole, for every code', () => {
    for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
      const sent = new PxmError(
        code,
        { vmid: '1', node: 'ü' },
        { cause: new Error('outer', { cause: new Error('inner') }), hint: 'do this' },
      );
      const back = fromServiceError(toServiceError(sent), { peer: 'x' });
      expect([back.code, back.message, back.hint, back.fields, causeMessages(back)]).toEqual([
        code,
        sent.message,
        'do this',
        sent.fields,
        ['outer', 'inner'],
      ]);
    }
  });

  it('keeps the text of a code that this version does not know', () => {
    const back = fromProblem({
      code: 'PXM_FROM_THE_FUTURE',
      message: 'the flux is low',
      hint: '',
      fields: { a: 'b' },
      causes: [],
    });
    expect(back).toMatchObject({
      code: 'PXM_INTERNAL',
      message: 'PXM_FROM_THE_FUTURE: the flux is low',
      fields: { a: 'b', code: 'PXM_FROM_THE_FUTURE' },
    });
  });
});

describe('toProblem', () => {
  it('makes anything thrown presentable, without secrets, repeats and control characters', () => {
    registerSecret('hunter22');
    const inner = new Error('password hunter22\u001b[31m is wrong');
    expect(toProblem(new Error('outer', { cause: inner }))).toMatchObject({
      code: 'PXM_INTERNAL',
      message: 'internal error',
      causes: ['outer', 'password *** is wrong'],
    });
    expect(toProblem('text').causes).toEqual(['text']);
    expect(toProblem(Object.assign(new Error('EIO'), { code: 'EIO' })).message).toBe(
      'the disk under a file does not take what is written',
    );
    expect(toProblem(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', path: '/x' }))).toMatchObject({
      code: 'PXM_DISK_FULL',
      fields: { path: '/x' },
    });
    const loop: Error & { cause?: unknown } = new Error('a');
    loop.cause = new Error('b', { cause: loop });
    expect(causeMessages(loop)).toEqual(['b']);
  });

  it('cuts what is too long for a trailer', () => {
    const huge = toServiceError(
      new PxmError('PXM_COMMAND_FAILED', { tool: 'x'.repeat(100_000), status: '' }, { detail: '\ud800\n' }),
    );
    expect(huge.metadata.get('grpc-status-details-bin')[0]?.length).toBeLessThan(4000);
    expect(() => encodeURI(huge.details)).not.toThrow();
  });
});

describe('fromServiceError', () => {
  it.each([
    [
      14,
      'No connection established. Last error: ... tlsv13 alert certificate required:... SSL alert number 116',
      'PXM_AUTH_CERTIFICATE_REQUIRED',
    ],
    [14, 'Last error: Error: unable to verify the first certificate', 'PXM_AUTH_SERVER_UNTRUSTED'],
    [14, 'Last error: Error: self-signed certificate in certificate chain', 'PXM_AUTH_SERVER_UNTRUSTED'],
    [14, 'Last error: Error: certificate has expired', 'PXM_AUTH_EXPIRED'],
    [14, "Hostname/IP does not match certificate's altnames", 'PXM_AUTH_SERVER_UNTRUSTED'],
    [14, 'Last error: Error: connect ECONNREFUSED 127.0.0.1:1', 'PXM_NODE_UNREACHABLE'],
    [14, 'Name resolution failed for target dns:nowhere.invalid:1', 'PXM_NODE_UNREACHABLE'],
    [4, 'Deadline exceeded after 0.1s', 'PXM_DEADLINE_EXCEEDED'],
    [1, 'Cancelled on client', 'PXM_CANCELLED'],
    [12, 'The server does not implement the method', 'PXM_CAPABILITY_MISSING'],
    [2, 'boom', 'PXM_INTERNAL'],
    [
      13,
      'Received RST_STREAM with code 2 triggered by internal client error: read EHOSTUNREACH',
      'PXM_NODE_UNREACHABLE',
    ],
    [
      13,
      'Received RST_STREAM with code 2 triggered by internal client error: tlsv13 alert certificate required',
      'PXM_AUTH_CERTIFICATE_REQUIRED',
    ],
    [13, 'Received RST_STREAM with code 0 (Call ended without gRPC status)', 'PXM_NODE_UNREACHABLE'],
    [13, 'Received RST_STREAM with code 1', 'PXM_NODE_UNREACHABLE'],
    [13, 'Write error: write after end', 'PXM_NODE_UNREACHABLE'],
    [1, 'Call cancelled', 'PXM_NODE_UNREACHABLE'],
    [8, 'Bandwidth exhausted or memory limit exceeded', 'PXM_NODE_UNREACHABLE'],
    [8, 'Received message larger than max (4194305 vs 4194304)', 'PXM_INTERNAL'],
    [13, 'Error deserializing request: index out of range', 'PXM_INTERNAL'],
  ])('status %i with "%s" is %s...', (code, details, expected) => {
    expect(fromServiceError(serviceError(code, details), { peer: 'pve1' }).code).toBe(expected);
  });

  it('tells a connection that broke by the reason alone', () => {
    const details = 'Received RST_STREAM with code 2 triggered by internal client error: read EHOSTUNREACH';
    const error = fromServiceError(serviceError(13, details), { peer: 'pve1' });
    expect([error.message, ...causeMessages(error)].join('; ')).toMatch(/pve1.*; read EHOSTUNREACH$/);
  });

  it('says nothing about TLS when the text is about something else', () => {
    expect(tlsRefusal('connect ECONNREFUSED')).toBeUndefined();
  });
});
