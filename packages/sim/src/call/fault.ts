/**
 * Faults on purpose. `<root>/.sim/faults.json` is a list of rules; a tool that reaches a named point obeys the first
 * rule that matches and still has runs left. `<root>/.sim/switches.json` changes lasting behaviour (see switches.ts).
 * A rule that ran is counted in the file, so tests can see that it was reached. The table of all points, actions and
 * switches is in the README of this package.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { readJson, writeFileAtomicSync } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { currentCall, dieNow } from './call.ts';
import type { FaultPointName } from './fault-points.ts';
import { ToolError } from './tool.ts';

export { type Switches, setSwitches, switchesOf } from './switches.ts';

/**
 * `die`: the command and its worker at once; `die-worker`: the worker alone, the command tells of it; `die-front`: the
 * command alone, its worker goes on to its next line of output; `die-tar`: the program that unpacks.
 */
export type FaultAction = 'delay' | 'hang' | 'fail' | 'enospc' | 'die' | 'die-worker' | 'die-front' | 'die-tar';

export interface FaultRule {
  /** `tool subcommand` (`pct create`) or the tool alone; `*` for any. */
  readonly at: string;
  readonly point: FaultPointName;
  readonly vmid?: number;
  /** How many matches go by before it applies; default 0. */
  readonly skip?: number;
  /** How often it applies; default 1, 0 = for ever. */
  readonly times?: number;
  readonly do: FaultAction;
  /** Of `delay`; and how long a tool that hung stands on when it is let go. */
  readonly delayMs?: number;
  /** Text of the failure, for `fail`. */
  readonly message?: string;
  readonly status?: number;
  /** Counted by the tools: matches that went by, and runs. */
  readonly skipped?: number;
  readonly done?: number;
}

const DELAY_MS = 1000;

/** How often a hanging tool looks whether its rule is gone. */
const RELEASE_LOOK_MS = 25;

/** The program that unpacks an archive was killed. */
export class TarKilledError extends Error {}

/** A write that found no space left. Each door that writes turns it into the text its program has for that. */
export class NoSpaceError extends Error {
  readonly code = 'ENOSPC';
  constructor() {
    super('No space left on device');
  }
}

export function setFaults(host: Host, rules: readonly FaultRule[]): void {
  writeFileAtomicSync(host.simPath('faults.json'), `${JSON.stringify(rules, undefined, 1)}\n`);
}

/** The rules with their counts, for tests. */
export function faultsOf(host: Host): readonly FaultRule[] {
  return readJson<FaultRule[]>(host.simPath('faults.json')) ?? [];
}

/** Called by tools at their named points; nothing happens outside a call. */
export async function reach(host: Host, point: FaultPointName): Promise<void> {
  const rule = take(host, point);
  if (rule === undefined) return;
  const signal = currentCall()?.io.signal;
  switch (rule.do) {
    case 'delay':
      return wait(rule.delayMs ?? DELAY_MS, signal);
    case 'hang':
      await waitForRelease(host, point, signal);
      return wait(rule.delayMs ?? 0, signal);
    case 'die-worker':
      currentCall()?.worker?.death.abort();
      return never();
    case 'die':
      return dieHere();
    default:
      act(rule, point);
  }
}

/** What stands behind the point is never reached, not even a clean-up. */
function dieHere(): Promise<never> {
  try {
    dieNow();
  } catch {
    // this process lives on; the call does not
  }
  return never();
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** The same for doors that cannot wait: the whole process stands still, and only SIGKILL ends it, as in a write that hangs. */
export function reachNow(host: Host, point: FaultPointName): void {
  const rule = take(host, point);
  if (rule === undefined) return;
  if (rule.do === 'delay') pause(rule.delayMs ?? DELAY_MS);
  else if (rule.do === 'hang') {
    while (isHeld(host, point)) pause(RELEASE_LOOK_MS);
    pause(rule.delayMs ?? 0);
  } else act(rule, point);
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function act(rule: FaultRule, point: string): void {
  const worker = currentCall()?.worker;
  if (rule.do === 'enospc') throw new NoSpaceError();
  if (rule.do === 'die-tar') throw new TarKilledError();
  if (rule.do === 'fail') throw new ToolError(rule.message ?? `fault at ${point}`, rule.status ?? 255);
  if (rule.do === 'die' || (rule.do === 'die-front' && worker === undefined)) dieNow();
  if (rule.do === 'die-front' && worker !== undefined) worker.isAlone = true;
}

/** The rule that applies here, counted. */
function take(host: Host, point: string): FaultRule | undefined {
  const rules = faultsOf(host);
  const index = rules.findIndex((rule) => applies(rule, point));
  const rule = rules[index];
  if (rule === undefined) return undefined;
  const isSkipped = (rule.skipped ?? 0) < (rule.skip ?? 0);
  const counted = isSkipped ? { ...rule, skipped: (rule.skipped ?? 0) + 1 } : { ...rule, done: (rule.done ?? 0) + 1 };
  setFaults(
    host,
    rules.map((r, i) => (i === index ? counted : r)),
  );
  return isSkipped ? undefined : rule;
}

function applies(rule: FaultRule, point: string): boolean {
  const call = currentCall();
  if (call === undefined) return false;
  const times = rule.times ?? 1;
  const isHere = rule.at === '*' || rule.at === call.tool || rule.at === `${call.tool} ${call.command}`;
  return (
    isHere &&
    rule.point === point &&
    (rule.vmid === undefined || rule.vmid === call.vmid) &&
    (times === 0 || (rule.done ?? 0) < times)
  );
}

/** Until somebody takes the rule away or tells the tool to stop. */
async function waitForRelease(host: Host, point: FaultPointName, signal: AbortSignal | undefined): Promise<void> {
  while (signal?.aborted !== true && isHeld(host, point)) await wait(RELEASE_LOOK_MS, signal);
}

function isHeld(host: Host, point: FaultPointName): boolean {
  return faultsOf(host).some((rule) => rule.point === point && rule.do === 'hang');
}

/** Ends early when the tool is told to stop; the tool then notices the signal itself. */
async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (err) {
    if ((err as Error).name !== 'AbortError') throw err;
  }
}
