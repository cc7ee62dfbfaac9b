/** A write of the agent that the disk refuses, or that the agent does not live to end, at each place of an operation: what was ordered is done or undone, and nothing is claimed that does not last. */
import { type Operation, OperationState, type Order } from '@pxmgr/contract/common';
import { messageOf } from '@pxmgr/kit/error/chain';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { lasting, waitFor } from '../../deploy/stand/wait.ts';
import { WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { differences } from '../e2e/traces.ts';
import type { CallFault, CallName } from '../support/fault.ts';
import type { AgentBench, Subject } from './agent-bench.ts';
import type { Scenario } from './kinds.ts';
import { nameOf } from './matrix.ts';
import { subjectOf } from './strike.ts';

/** One call of an operation on a file of the agent, or of what it writes for Proxmox. */
export interface DiskPoint {
  readonly call: CallName;
  /** Regular expression for the path. */
  readonly path: string;
  readonly nth: number;
}

export interface StudiedDisk {
  readonly scenario: Scenario;
  readonly points: readonly DiskPoint[];
  /** What the operation changes when nothing disturbs it. */
  readonly effects: readonly string[];
}

/** Once without a fault: every call that writes, in its order. */
export async function studyDisk(bench: AgentBench, scenario: Scenario): Promise<StudiedDisk> {
  const subject = subjectOf(scenario);
  await scenario.prepare(bench, subject);
  const before = bench.world(subject);
  bench.faults.traceCalls();
  await bench.succeed((order) => scenario.order(bench, subject, order));
  const calls = bench.faults.traced().filter(({ kind }) => kind === 'call');
  await waitFor('nothing is left of the work', WAIT_LIMIT_MS, () =>
    bench.leftovers().length === 0 ? true : undefined,
  );
  const effects = differences(before, bench.world(subject));
  await scenario.cleanUp(bench, subject, true);
  const counts = new Map<string, number>();
  const points = calls.flatMap(({ entry }): DiskPoint[] => {
    const [, call = '', path = ''] = /^((?:stream |handle\.)?\S+) (.*)$/.exec(entry) ?? [];
    const pattern = patternOf(bench, path);
    if (pattern === undefined) return [];
    const nth = (counts.get(`${call} ${pattern}`) ?? 0) + 1;
    counts.set(`${call} ${pattern}`, nth);
    return [{ call: call as CallName, path: pattern, nth }];
  });
  return { scenario, points, effects };
}

/** The same file of another run; undefined where neither the agent's state nor the host is written. */
function patternOf({ node }: AgentBench, path: string): string | undefined {
  for (const root of [node.stateDir, node.host.root]) {
    if (!path.startsWith(`${root}/`)) continue;
    // Identifiers, random parts of temporary names, and vmids differ.
    const inside = path.slice(root.length).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return `${inside.replaceAll(/op-[0-9a-z]{20,}|[0-9a-f]{12,}|tmp\\\.op-\w+|\d{3,}/g, '[^/]+')}$`;
  }
  return undefined;
}

/** One of each kind of call on each file, at a place that the seed chooses. */
export function oneOfEach(points: readonly DiskPoint[], random: () => number): DiskPoint[] {
  const kinds = new Map<string, DiskPoint[]>();
  for (const point of points) {
    const kind = `${point.call} ${point.path}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), point]);
  }
  return [...kinds.values()].flatMap((list) => list[Math.floor(random() * list.length)] ?? []);
}

/** What went wrong, for people; empty when nothing did. */
export async function refuseAt(
  bench: AgentBench,
  { scenario, effects }: StudiedDisk,
  { point, how }: { point: DiskPoint; how: CallFault['do'] },
): Promise<string[]> {
  const where = `${nameOf(scenario)}, ${how} at ${point.call} ${point.path} (${String(point.nth)})`;
  try {
    return (await refuseOnce(bench, { scenario, effects, fault: { at: 'call', ...point, do: how } })).map(
      (problem) => `${where}: ${problem}`,
    );
  } catch (error) {
    bench.faults.clear();
    if (!bench.node.isAlive) await bench.restart();
    return [`${where}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

interface Refused {
  readonly scenario: Scenario;
  readonly effects: readonly string[];
  readonly fault: CallFault;
}

async function refuseOnce(bench: AgentBench, { scenario, effects, fault }: Refused): Promise<string[]> {
  const subject = subjectOf(scenario);
  await scenario.prepare(bench, subject);
  const before = bench.world(subject);
  const order = bench.newOrder();
  bench.faults.set(fault);
  const refusal = await scenario.order(bench, subject, order).then(
    () => undefined,
    (error: unknown) => error,
  );
  await ends(bench, order, refusal);
  bench.faults.clear();
  const hasDied = !bench.node.isAlive;
  if (hasDied) await bench.restart();
  const told = await bench.ended(order);
  // What was claimed has to last.
  await bench.restart();
  const kept = await bench.ended(order);
  const isDone = kept?.state === OperationState.OPERATION_STATE_DONE;
  const problems = [
    ...differs(told, kept),
    ...unclear(kept, hasDied ? undefined : refusal),
    ...(await unexpected(bench, subject, { before, expected: isDone ? effects : [] })),
  ];
  await scenario.cleanUp(bench, subject, isDone);
  return problems;
}

/** The agent has died of it, refused the order, or ended the operation. */
async function ends(bench: AgentBench, order: Order, refusal: unknown): Promise<void> {
  await waitFor(`the end of ${order.idempotencyKey}`, WAIT_LIMIT_MS, async () => {
    if (!bench.node.isAlive) return true;
    const operation = await bench.operation(order).catch(() => null);
    if (operation === null) return undefined;
    if (operation === undefined) return refusal === undefined ? undefined : true;
    return operation.state >= OperationState.OPERATION_STATE_DONE ? true : undefined;
  });
}

function differs(told: Operation | undefined, kept: Operation | undefined): string[] {
  if (told?.state === kept?.state) return [];
  return [`it was told as ${String(told?.state)}, and after a restart it is ${String(kept?.state)}`];
}

/** A failure has to say that it was the disk, or that the operation was interrupted. */
function unclear(operation: Operation | undefined, refusal: unknown): string[] {
  const problem = operation?.problem;
  if (problem !== undefined) return isClear(problem.code) ? [] : [`it failed with ${problem.code}: ${problem.message}`];
  if (operation !== undefined || refusal === undefined) return [];
  if (isPxmError(refusal) && isClear(refusal.code)) return [];
  return [`it was refused with ${messageOf(refusal)}`];
}

function isClear(code: string): boolean {
  return ['PXM_DISK_FAILED', 'PXM_DISK_FULL', 'PXM_STORAGE_FULL', 'PXM_INTERRUPTED'].includes(code);
}

/** A record of a guest that is gone stays until the next one is written. */
const MAY_STAY = /^gone: agent: record of it$/;

async function unexpected(
  bench: AgentBench,
  subject: Subject,
  { before, expected }: { before: ReadonlyMap<string, string>; expected: readonly string[] },
): Promise<string[]> {
  const look = (): string[] => {
    const found = differences(before, bench.world(subject));
    return [
      ...found.filter((line) => !expected.includes(line)),
      ...expected.filter((line) => !found.includes(line) && !MAY_STAY.test(line)).map((line) => `missing: ${line}`),
      ...bench.leftovers(),
    ];
  };
  return await lasting(WAIT_LIMIT_MS, look);
}
