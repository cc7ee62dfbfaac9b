/** State machines that more than one program knows: which moves are allowed. */

export const OPERATION_MOVES = {
  queued: ['running', 'cancelled', 'failed'],
  running: ['done', 'failed', 'cancelled'],
  done: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;
export type OperationStateName = keyof typeof OPERATION_MOVES;

export const PLAN_MOVES = {
  draft: ['applied', 'expired'],
  applied: ['done', 'failed', 'undone'],
  done: [],
  failed: [],
  undone: [],
  expired: [],
} as const satisfies Record<string, readonly string[]>;
export type PlanStateName = keyof typeof PLAN_MOVES;

export const RESERVATION_MOVES = {
  active: ['released', 'expired'],
  released: [],
  expired: [],
} as const satisfies Record<string, readonly string[]>;
export type ReservationStateName = keyof typeof RESERVATION_MOVES;

export function mayMove(moves: Readonly<Record<string, readonly string[]>>, from: string, to: string): boolean {
  return moves[from]?.includes(to) ?? false;
}

export function hasEnded(state: OperationStateName): boolean {
  const moves: readonly string[] = OPERATION_MOVES[state];
  return moves.length === 0;
}
