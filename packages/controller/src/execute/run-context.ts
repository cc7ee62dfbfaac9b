import type { Plan } from '@pxmgr/contract/controller';
import type { Clock } from '@pxmgr/kit/clock';
import type { FleetView } from '../domain/fleet-view.ts';
import type { Action } from '../domain/plan.ts';
import type { AgentDoor } from '../plan/agent-door.ts';
import type { Records } from '../plan/records.ts';
import { isRefusedByDisk } from '../store/open.ts';
import type { OperationLog } from './operation-log.ts';

export interface ExecuteLimits {
  /** First and longest pause between two tries to reach an agent. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** An agent that does not answer for this long ends the step, also when its node counts as up. */
  readonly silenceMs: number;
  /** How long the inventory may take to show what was done. */
  readonly confirmMs: number;
  /** A reservation outlives the last sign of its running operation by this. */
  readonly holdMs: number;
}

export const DEFAULT_LIMITS: ExecuteLimits = {
  retryMinMs: 250,
  retryMaxMs: 10_000,
  silenceMs: 10 * 60_000,
  confirmMs: 60_000,
  holdMs: 60 * 60_000,
};

/** What the parts of one run share. */
export interface RunContext {
  readonly plan: Plan;
  /** Undefined for a create plan. */
  readonly action: Action | undefined;
  readonly log: OperationLog;
  readonly records: Records;
  readonly agents: AgentDoor;
  readonly view: FleetView;
  readonly clock: Clock;
  readonly limits: ExecuteLimits;
  /** The controller stops: leave everything as it is. */
  readonly stop: AbortSignal;
  /** Somebody wants the operation taken back. */
  readonly cancel: AbortSignal;
  readonly cancelActor: () => string;
}

/** The failure says nothing about the work: the controller stops, or cannot write down how it went. */
export function goesOnLater({ stop, records }: RunContext, error: unknown): boolean {
  return stop.aborted || isRefusedByDisk(records.database, error);
}
