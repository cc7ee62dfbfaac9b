/** What kinds of failures there are: gRPC status, exit code and retry rule of each family (house rules of the wire form). */

/** gRPC status numbers (grpc/grpc doc/statuscodes.md). */
export const GRPC = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** never = the same call fails again; caller = safe to repeat with back-off; state = after the named state changed. */
export type Retry = 'never' | 'caller' | 'state';

export interface Family {
  readonly grpc: number;
  readonly exit: number;
  readonly retry: Retry;
}

export const INPUT: Family = { grpc: GRPC.INVALID_ARGUMENT, exit: 2, retry: 'never' };
export const ABSENT: Family = { grpc: GRPC.NOT_FOUND, exit: 3, retry: 'never' };
export const TAKEN: Family = { grpc: GRPC.ALREADY_EXISTS, exit: 4, retry: 'never' };
export const STATE: Family = { grpc: GRPC.FAILED_PRECONDITION, exit: 4, retry: 'state' };
export const RACE: Family = { grpc: GRPC.ABORTED, exit: 4, retry: 'caller' };
export const CANNOT: Family = { grpc: GRPC.UNIMPLEMENTED, exit: 4, retry: 'never' };
export const WHO: Family = { grpc: GRPC.UNAUTHENTICATED, exit: 5, retry: 'never' };
export const FORBIDDEN: Family = { grpc: GRPC.PERMISSION_DENIED, exit: 5, retry: 'never' };
export const REACH: Family = { grpc: GRPC.UNAVAILABLE, exit: 6, retry: 'caller' };
export const SLOW: Family = { grpc: GRPC.DEADLINE_EXCEEDED, exit: 6, retry: 'state' };
export const ROOM: Family = { grpc: GRPC.RESOURCE_EXHAUSTED, exit: 7, retry: 'state' };
export const FAULT: Family = { grpc: GRPC.INTERNAL, exit: 1, retry: 'never' };
export const STOPPED: Family = { grpc: GRPC.CANCELLED, exit: 130, retry: 'never' };

export interface ErrorRow extends Family {
  readonly message: string;
  readonly hint: string;
}

/** One row; `{name}` in the texts is replaced by the field of that name. */
export function row(family: Family, message: string, hint = ''): ErrorRow {
  return { ...family, message, hint };
}
