/**
 * Every failure a user can reach: code, gRPC status, exit code, whether the caller may try again, text, hint.
 * `{name}` is replaced by the field of that name. A code that is removed goes to RETIRED_CODES and is never reused.
 */
import type { ErrorRow } from './error-families.ts';
import { CALLER_ROWS } from './error-rows-caller.ts';
import { FLEET_ROWS } from './error-rows-fleet.ts';

export type { ErrorRow, Retry } from './error-families.ts';
export { GRPC } from './error-families.ts';

export const ERROR_TABLE = { ...CALLER_ROWS, ...FLEET_ROWS } as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** Codes of earlier releases; never reused. */
export const RETIRED_CODES: readonly string[] = [];

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, text);
}

/** The row of a code, with its wide type (the literal types of the table are for ErrorCode only). */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERROR_TABLE[code];
}

/** Fill a template; a missing field stays visible as `{name}` so that a test finds it. "{count} problem(s)" gets its number right. */
export function fillTemplate(template: string, fields: Readonly<Record<string, string>>): string {
  return template
    .replace(/\{(\w+)\} (\w+)\(s\)/g, (_whole, name: string, noun: string) =>
      fields[name] === '1' ? `{${name}} ${noun}` : `{${name}} ${noun}s`,
    )
    .replace(/\{(\w+)\}/g, (whole, name: string) => fields[name] ?? whole);
}
