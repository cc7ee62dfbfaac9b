/**
 * Faults on purpose. `<root>/.sim/faults.json` is a list of rules; a tool that reaches a named point obeys the first
 * rule that matches and still has runs left. `<root>/.sim/switches.json` changes lasting behaviour (see Switches).
 * A rule that ran is counted in the file, so tests can see that it was reached.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from './host.ts';
import { readJson, writeFileAtomicSync } from './sim-file.ts';
import { ToolError, type ToolIo } from './tool.ts';

export interface FaultRule {
  /** `tool subcommand` (`pct create`) or the tool alone; `*` for any. */
  readonly at: string;
  /** Name of the point: see the calls of `reach`; `begin` is before anything, `end` before the exit. */
  readonly point: string;
  readonly vmid?: number;
  /** How often it applies; default 1, 0 = for ever. */
  readonly times?: number;
  readonly do: 'delay' | 'hang' | 'fail' | 'die';
  readonly delayMs?: number;
  /** Text of the failure, for `fail`. */
  readonly message?: string;
  readonly status?: number;
  /** Counted by the tools. */
  readonly done?: number;
}

/** Lasting behaviour, all off by default. */
export interface Switches {
  /** The post-stop hook writes the guest's config again that many ms after the stop, without the lock, as upstream's does. */
  readonly postStopRewriteMs?: number;
  /** Each tool waits that long at its start (a Perl start costs about 450 ms). */
  readonly startUpMs?: number;
  /** The cluster has no quorum on this node. */
  readonly noQuorum?: boolean;
  /** Guests ignore the halt signal (played runtime). */
  readonly ignoreHalt?: readonly number[];
  /** Guests whose init ends at once (played runtime). */
  readonly exitAtStart?: readonly number[];
  /** `storage id` -> free bytes left, whatever the disk really has. */
  readonly freeBytes?: Readonly<Record<string, number>>;
}

export interface FaultPoint {
  readonly tool: string;
  readonly command?: string;
  readonly vmid?: number;
  readonly signal: AbortSignal;
  /** How to die where the process holds more than this tool. */
  readonly death?: ToolIo['death'];
}

export function setFaults(host: Host, rules: readonly FaultRule[]): void {
  writeFileAtomicSync(host.simPath('faults.json'), `${JSON.stringify(rules, undefined, 1)}\n`);
}

export function setSwitches(host: Host, switches: Switches): void {
  writeFileAtomicSync(host.simPath('switches.json'), `${JSON.stringify(switches, undefined, 1)}\n`);
}

export function switchesOf(host: Host): Switches {
  return readJson<Switches>(host.simPath('switches.json')) ?? {};
}

/** The rules with their counts, for tests. */
export function faultsOf(host: Host): readonly FaultRule[] {
  return readJson<FaultRule[]>(host.simPath('faults.json')) ?? [];
}

/** Called by tools at their named points. */
export async function reach(host: Host, at: FaultPoint, point: string): Promise<void> {
  const rules = faultsOf(host);
  const index = rules.findIndex((rule) => applies(rule, at, point));
  const rule = rules[index];
  if (rule === undefined) return;
  setFaults(
    host,
    rules.map((r, i) => (i === index ? { ...r, done: (r.done ?? 0) + 1 } : r)),
  );
  switch (rule.do) {
    case 'delay':
      return wait(rule.delayMs ?? 1000, at.signal);
    case 'hang':
      return wait(2 ** 31 - 1, at.signal);
    case 'fail':
      throw new ToolError(rule.message ?? `fault at ${point}`, rule.status ?? 255);
    case 'die':
      if (at.death === undefined) process.kill(process.pid, 'SIGKILL');
      else at.death.die();
      return new Promise(() => undefined);
  }
}

function applies(rule: FaultRule, at: FaultPoint, point: string): boolean {
  const times = rule.times ?? 1;
  const isHere = rule.at === '*' || rule.at === at.tool || rule.at === `${at.tool} ${at.command ?? ''}`;
  return (
    isHere &&
    rule.point === point &&
    (rule.vmid === undefined || rule.vmid === at.vmid) &&
    (times === 0 || (rule.done ?? 0) < times)
  );
}

/** Ends early when the tool is told to stop; the tool then notices the signal itself. */
async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (err) {
    if ((err as Error).name !== 'AbortError') throw err;
  }
}
