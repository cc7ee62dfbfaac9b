import { isErrorCode } from '@pxmgr/contract';
import type { Problem } from '@pxmgr/contract/common';
import { redact } from '../log/redact.ts';
import { causeMessages, messageOf } from './chain.ts';
import { diskError } from './disk-error.ts';
import { PxmError, type PxmErrorOptions } from './pxm-error.ts';

/** Anything thrown as a PxmError; what has no code of its own becomes PXM_INTERNAL with the original as cause. */
export function toPxmError(error: unknown): PxmError {
  if (error instanceof PxmError) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return new PxmError('PXM_CANCELLED', { what: 'the call' }, { cause: error });
  return fromSystem(error) ?? new PxmError('PXM_INTERNAL', {}, { cause: error });
}

/** What the kernel's refusals mean to a user. */
function fromSystem(error: unknown): PxmError | undefined {
  const code = systemCode(error) ?? '';
  const path = systemPath(error);
  const ofDisk = diskError(error, path ?? 'a file');
  if (ofDisk !== undefined) return ofDisk;
  // Without a path it is some other system call, and permissions of files are no advice.
  if (path === undefined || !['EACCES', 'EPERM', 'EROFS'].includes(code)) return undefined;
  return new PxmError('PXM_FILE_DENIED', { path }, { cause: error });
}

/** A failure as a value for records, events and answers; masked and free of control characters. */
export function toProblem(error: unknown): Problem {
  const pxm = toPxmError(error);
  return {
    code: pxm.code,
    message: messageOf(pxm),
    hint: pxm.hint ?? '',
    fields: Object.fromEntries(Object.entries(pxm.fields).map(([name, value]) => [name, redact(value)])),
    causes: causeMessages(pxm),
  };
}

/** The way back. A code this version does not know becomes PXM_INTERNAL and keeps the sender's text. */
export function fromProblem(problem: Problem): PxmError {
  const options: PxmErrorOptions = { message: problem.message };
  if (problem.hint !== '') options.hint = problem.hint;
  const cause = causesToError(problem.causes);
  if (cause !== undefined) options.cause = cause;
  if (isErrorCode(problem.code)) return new PxmError(problem.code, problem.fields, options);
  return new PxmError(
    'PXM_INTERNAL',
    { ...problem.fields, code: problem.code },
    { ...options, message: `${problem.code}: ${problem.message}` },
  );
}

/** Messages outer to inner as a chain of errors. */
export function causesToError(messages: readonly string[]): Error | undefined {
  let inner: Error | undefined;
  for (const message of [...messages].reverse())
    inner = inner === undefined ? new Error(message) : new Error(message, { cause: inner });
  return inner;
}

/** `code` of a Node.js system error such as ENOENT. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function systemPath(error: unknown): string | undefined {
  return error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
}
