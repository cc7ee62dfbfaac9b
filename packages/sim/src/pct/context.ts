/** pct/: one file per group of sub-commands. Each verb gets a Verb and returns its exit status; errors are thrown. */

import { deathSignal } from '../call/call.ts';
import { reach } from '../call/fault.ts';
import type { FaultPointName } from '../call/fault-points.ts';
import type { ToolIo } from '../call/tool.ts';
import { runTask, type Task, type TaskEnd } from '../cluster/task.ts';
import { withGuestLock } from '../guest/config-store.ts';
import type { Host } from '../host/host.ts';
import { runningGuest } from '../host/running.ts';
import type { Call } from '../schema/command.ts';
import type { Parameter } from '../schema/property.ts';
import type { GuestConfig } from '../text/guest-config.ts';

/** Options that somebody wants to set or to delete. */
export interface OptionChange {
  /** undefined while there is no guest yet. */
  readonly config: GuestConfig | undefined;
  readonly values: ReadonlyMap<string, string>;
  readonly remove: readonly string[];
  readonly isUnprivileged: boolean;
}

/** Throws where the caller may not do that. */
export type RightsCheck = (change: OptionChange) => void;

export interface Verb {
  readonly tool: string;
  readonly host: Host;
  readonly io: ToolIo;
  readonly call: Call;
  readonly vmid: number;
  /** For callers other than root itself. */
  readonly checkRights?: RightsCheck;
}

export type VerbHandler = (verb: Verb) => Promise<number>;

export function text(verb: Verb, key: string): string | undefined {
  const value: Parameter | undefined = verb.call.params[key];
  return value === undefined ? undefined : String(value);
}

export function flag(verb: Verb, key: string): boolean {
  return text(verb, key) === '1';
}

export function isRunning(verb: Verb): boolean {
  return runningGuest(verb.host, verb.vmid) !== undefined;
}

export function atPoint(verb: Verb, point: FaultPointName): Promise<void> {
  return reach(verb.host, point);
}

/** The guest's flock outside a task: waiting is told on stderr. */
export function locked<T>(verb: Verb, section: () => Promise<T>, waitMs?: number): Promise<T> {
  const { host, vmid, io } = verb;
  return withGuestLock(
    {
      host,
      vmid,
      say: io.err,
      signal: io.signal,
      death: deathSignal(io),
      ...(waitMs === undefined ? {} : { waitMs }),
    },
    section,
  );
}

/** A task of this call; `exit` gives its end to the shell, or 0 for the commands that never tell. */
export async function taskOf(verb: Verb, type: string, body: (task: Task) => Promise<void>): Promise<TaskEnd> {
  return runTask(verb, { type, id: String(verb.vmid), tool: verb.tool }, body);
}

export function exit(end: TaskEnd): number {
  return end.isError ? 255 : 0;
}

/** The guest's flock inside a task: waiting is told on the task's output. */
export function lockedInTask<T>(verb: Verb, task: Task, section: () => Promise<T>): Promise<T> {
  return withGuestLock(
    {
      host: verb.host,
      vmid: verb.vmid,
      say: task.log,
      signal: task.signal,
      death: deathSignal(verb.io),
      isInTask: true,
    },
    section,
  );
}
