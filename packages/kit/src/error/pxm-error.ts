/**
 * error/: one class for every failure a user can reach, and its forms on the wire. Codes, texts and hints live in
 * contract/error-codes.ts; this room fills and carries them. A programmer mistake stays a plain `Error` and becomes
 * PXM_INTERNAL at the edge. The outer message never repeats the inner one: the inner error is the `cause`.
 */
import type { ErrorCode, ErrorRow } from '@pxmgr/contract';
import { errorRow, fillTemplate } from '@pxmgr/contract';

export interface PxmErrorOptions {
  cause?: unknown;
  /** Replaces the hint of the table. */
  hint?: string;
  /** Appended to the message after ": ". */
  detail?: string;
  /** Replaces the filled template: the text a peer sent, whose table may be of another version. */
  message?: string;
}

/** `fields` fill the template of the code and are safe to show: never put a secret there. */
export class PxmError extends Error {
  readonly code: ErrorCode;
  readonly fields: Readonly<Record<string, string>>;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, fields: Readonly<Record<string, string>> = {}, options: PxmErrorOptions = {}) {
    const row = errorRow(code);
    const text = options.message ?? fillTemplate(row.message, fields);
    super(
      options.detail === undefined || options.detail === '' ? text : `${text}: ${options.detail}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = 'PxmError';
    this.code = code;
    this.fields = Object.freeze({ ...fields });
    const hint = options.hint ?? fillTemplate(row.hint, fields);
    this.hint = hint === '' ? undefined : hint;
  }

  /** gRPC status, exit code and retry rule of the code. */
  get row(): ErrorRow {
    return errorRow(this.code);
  }
}

/** True for a PxmError, with the given code if one is named. */
export function isPxmError(error: unknown, code?: ErrorCode): error is PxmError {
  return error instanceof PxmError && (code === undefined || error.code === code);
}
