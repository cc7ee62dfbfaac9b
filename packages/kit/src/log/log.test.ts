import { afterEach, describe, expect, it } from 'vitest';
import { PxmError } from '../error/pxm-error.ts';
import { forStderr, withSyslogPrefix } from './journal.ts';
import { createLogger, type LogLevel } from './logger.ts';
import { forgetSecrets, maskSecrets, redact, registerSecret, stripControl, stripControlInLines } from './redact.ts';

afterEach(forgetSecrets);

function capture(level: LogLevel = 'info') {
  const lines: string[] = [];
  const logger = createLogger({
    service: 'agent',
    node: 'pve1',
    version: '1.2.3',
    level,
    stream: { write: (line) => lines.push(line) },
  });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
}

describe('createLogger', () => {
  it('writes one JSON object per line with the base fields', () => {
    const { logger, lines, last } = capture();
    logger.info({ vmid: 101, op: 'op-1' }, 'guest started');
    logger.debug('not written');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith('\n')).toBe(true);
    expect(last()).toMatchObject({
      level: 'info',
      svc: 'agent',
      node: 'pve1',
      ver: '1.2.3',
      boot: expect.stringMatching(/^[0-9a-f]{8}$/) as string,
      vmid: 101,
      op: 'op-1',
      msg: 'guest started',
    });
  });

  it('lets neither secrets nor control characters out, wherever they stand', () => {
    const { logger, lines } = capture();
    registerSecret('hunter22"quoted');
    const child = logger.child({ peer: 'a\u001b[31mb' });
    child.info(
      { deep: [{ text: 'x hunter22"quoted' }], err: new Error('hunter22"quoted\u0007') },
      'with hunter22"quoted and %s',
      'hunter22"quoted\u0000',
    );
    const line = lines.join('');
    expect(line).not.toContain('hunter22');
    expect(line).not.toMatch(/\\u00|\u001b/);
    expect(line).toContain('"peer":"ab"');
  });

  it('describes errors: code, chain; a stack only for our own faults or at debug', () => {
    const { logger, last } = capture();
    logger.info(
      { err: new PxmError('PXM_VMID_TAKEN', { vmid: '1', owner: 'x' }, { cause: new Error('inner') }) },
      'refused',
    );
    expect(last()['err']).toEqual({
      code: 'PXM_VMID_TAKEN',
      message: 'vmid 1 is taken by x',
      fields: { vmid: '1', owner: 'x' },
      chain: ['inner'],
    });
    logger.error({ err: new Error('bug') }, 'failed');
    expect(last()['err']).toMatchObject({ message: 'bug', stack: expect.stringContaining('log.test.ts') as string });
    const debug = capture('debug');
    debug.logger.info({ err: new PxmError('PXM_VMID_TAKEN') }, 'refused');
    expect(debug.last()['err']).toHaveProperty('stack');
  });

  it('can carry the syslog priority', () => {
    const lines: string[] = [];
    const sink = withSyslogPrefix({ write: (line) => lines.push(line) });
    for (const level of ['debug', 'info', 'warn', 'error', 'fatal']) sink.write(`{"level":"${level}"}\n`);
    expect(lines.map((line) => line.slice(0, 3))).toEqual(['<7>', '<6>', '<4>', '<3>', '<2>']);
  });

  it('marks every line of a failure told in words, where the journal listens', () => {
    expect(forStderr('error: a\n  hint: b\n', { JOURNAL_STREAM: '8:1' })).toBe('<3>error: a\n<3>  hint: b\n');
    expect(forStderr('error: a\n', {})).toBe('error: a\n');
  });
});

describe('redaction', () => {
  it('masks plain, JSON-escaped, base64 and multi-line forms', () => {
    registerSecret('first-line-of-key\nsecond-line-of-key\n');
    registerSecret('pass"word');
    expect(redact('a first-line-of-key b second-line-of-key')).toBe('a *** b ***');
    expect(redact(JSON.stringify({ p: 'pass"word' }))).toBe('{"p":"***"}');
    expect(redact(Buffer.from('pass"word').toString('base64'))).toBe('***');
  });

  it('masks a short secret only as a whole word', () => {
    expect(maskSecrets('abc', ['abc'])).toBe('***');
    expect(maskSecrets('the alphabet abcdef', ['abc'])).toBe('the alphabet abcdef');
    registerSecret('');
    expect(redact('text')).toBe('text');
  });

  it('strips terminal sequences, bidirectional tricks and line feeds', () => {
    expect(stripControl('a\u001b]0;title\u0007b\u001b[1;31mc\u202ed\r\ne\tf\u009b')).toBe('abcd e\tf');
    expect(stripControlInLines('a\r\nb\u0007')).toBe('a\nb');
  });
});
