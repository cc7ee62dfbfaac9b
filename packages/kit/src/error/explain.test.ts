import { describe, expect, it } from 'vitest';
import { exitCodeOf, explainError } from './explain.ts';
import { PxmError } from './pxm-error.ts';

function systemError(code: string, path?: string): Error {
  return Object.assign(new Error(`${code}: from the kernel`), { code, ...(path === undefined ? {} : { path }) });
}

describe('a failure at the terminal', () => {
  it('says code, message, cause and hint', () => {
    const error = new PxmError('PXM_NOT_JOINED', {}, { cause: new Error('no identity') });
    expect(explainError(error)).toMatch(/^error\[PXM_NOT_JOINED\]: .*\n {2}cause: no identity\n {2}hint: {2}run .*\n$/);
    expect(exitCodeOf(error)).toBe(4);
  });

  it.each([
    ['EACCES', 'PXM_FILE_DENIED', 5],
    ['EPERM', 'PXM_FILE_DENIED', 5],
    ['ENOSPC', 'PXM_DISK_FULL', 7],
    ['EROFS', 'PXM_FILE_DENIED', 5],
  ])('knows what %s of the kernel means', (kernel, code, exit) => {
    const error = systemError(kernel, '/var/lib/x');
    expect(explainError(error)).toContain(`error[${code}]`);
    expect(explainError(error)).toContain('/var/lib/x');
    expect(exitCodeOf(error)).toBe(exit);
  });

  it('calls what it does not know our bug', () => {
    expect(explainError(systemError('ELOOP'))).toContain('PXM_INTERNAL');
    expect(exitCodeOf('text')).toBe(1);
  });
});
