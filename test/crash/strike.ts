/** Learns the points of one scenario, and kills the agent at one of them. */
import { randomBytes } from 'node:crypto';
import { type Operation, OperationState, type Problem } from '@pxmgr/contract/common';
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/fault';
import { FAULT_POINTS, type FaultPointName } from '@pxmgr/sim/fault-points';
import { waitFor } from '../../deploy/stand/wait.ts';
import { WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { differences, processesOf } from '../e2e/traces.ts';
import type { JournalFault, TraceEntry } from '../support/fault.ts';
import type { AgentBench, Subject } from './agent-bench.ts';
import type { Scenario } from './kinds.ts';

/** Where the agent dies. */
export interface Point {
  readonly name: string;
  /** Kind of point: a representative run has each at least once. */
  readonly sort: string;
  readonly journal?: Pick<JournalFault, 'entry' | 'nth' | 'when'>;
  /** Lasting points of the tools that the operation runs. */
  readonly tool?: FaultRule;
  /** The tool that runs at the point is killed as well. */
  readonly killsTool?: boolean;
}

export interface Learned {
  readonly points: readonly Point[];
  /** What the operation changes when nothing disturbs it. */
  readonly effects: readonly string[];
}

const FAULT_PLACES = Object.keys(FAULT_POINTS) as FaultPointName[];
const PCT_VERBS = [
  'create',
  'set',
  'start',
  'shutdown',
  'stop',
  'destroy',
  'snapshot',
  'rollback',
  'delsnapshot',
  'unlock',
];

export function subjectOf({ vmid }: Scenario): Subject {
  return { vmid, guestUid: randomBytes(16).toString('hex') };
}

/** Once without a kill. */
export async function learn(bench: AgentBench, scenario: Scenario): Promise<Learned> {
  const subject = subjectOf(scenario);
  await scenario.prepare(bench, subject);
  const before = bench.world(subject);
  const verbs = PCT_VERBS.map((verb) => `pct ${verb}`);
  setFaults(
    bench.node.host,
    verbs.flatMap((at) => FAULT_PLACES.map((point): FaultRule => ({ at, point, do: 'delay', delayMs: 0, times: 0 }))),
  );
  bench.faults.trace();
  await bench.succeed((order) => scenario.order(bench, subject, order));
  const entries = bench.faults.traced().filter(({ kind }) => kind === scenario.kind);
  const reached = faultsOf(bench.node.host).filter((rule) => (rule.done ?? 0) > 0);
  setFaults(bench.node.host, []);
  const effects = await settled(bench, subject, before);
  await scenario.cleanUp(bench, subject, true);
  return { points: [...journalPoints(entries), ...toolPoints(reached)], effects };
}

/** Before and after each line; one point where nothing can happen in between. Of output lines the first is enough. */
function journalPoints(entries: readonly TraceEntry[]): Point[] {
  const counts = new Map<string, number>();
  return entries.flatMap(({ entry, turn }, index): Point[] => {
    const nth = (counts.get(entry) ?? 0) + 1;
    counts.set(entry, nth);
    if ((entry === 'log' || entry === 'bytes') && nth > 1) return [];
    const isSameTurn = entries[index - 1]?.turn === turn;
    const whens = isSameTurn ? (['after'] as const) : (['before', 'after'] as const);
    const sort = /^(?:step|command)/.test(entry) ? (entry.split(' ', 1)[0] ?? '') : entry;
    return whens.map((when) => ({
      name: `${when} journal entry ${entry}${nth > 1 ? ` (${nth})` : ''}`,
      sort: `${when} ${sort}`,
      journal: { entry, nth, when },
    }));
  });
}

/** The agent dies while the tool works on; and both die. */
function toolPoints(reached: readonly FaultRule[]): Point[] {
  return reached.flatMap(({ at, point }): Point[] => [
    { name: `while ${at} is at ${point}`, sort: `${at} works`, tool: { at, point, do: 'delay', delayMs: 700 } },
    {
      name: `together with ${at} at ${point}`,
      sort: `${at} dies too`,
      tool: { at, point, do: 'delay', delayMs: 60_000 },
      killsTool: true,
    },
  ]);
}

/** What is wrong afterwards, for people; empty when all is well. */
export async function strike(
  bench: AgentBench,
  scenario: Scenario,
  { point, effects }: { point: Point; effects: readonly string[] },
): Promise<string[]> {
  const subject = subjectOf(scenario);
  const first = bench.world(subject);
  await scenario.prepare(bench, subject);
  const before = bench.world(subject);
  const order = bench.newOrder();
  if (point.journal !== undefined)
    bench.faults.set({ at: 'journal', kind: scenario.kind, phase: 'work', ...point.journal });
  if (point.tool !== undefined) setFaults(bench.node.host, [point.tool]);
  // The answer may be lost with the agent.
  const sent = scenario.order(bench, subject, order).catch(() => undefined);
  if (point.tool !== undefined) await atTool(bench, point);
  await bench.died();
  await sent;
  await bench.restart();
  setFaults(bench.node.host, []);
  const operation = await bench.ended(order);
  const isDone = operation?.state === OperationState.OPERATION_STATE_DONE;
  const expected = isDone ? effects : [];
  const problems = [...record(operation, point), ...(await unexpected(bench, { subject, before, expected }))];
  try {
    await scenario.cleanUp(bench, subject, isDone);
    const rest = await unexpected(bench, { subject, before: first, expected: [] });
    problems.push(...rest.filter((line) => !IMAGE.test(line)).map((line) => `after the clean-up: ${line}`));
  } catch (error) {
    problems.push(`the clean-up failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  return problems;
}

async function atTool(bench: AgentBench, point: Point): Promise<void> {
  await waitFor('the tool reaches the point', WAIT_LIMIT_MS, () =>
    faultsOf(bench.node.host).some((rule) => (rule.done ?? 0) > 0) ? true : undefined,
  );
  await bench.node.kill();
  if (point.killsTool !== true) return;
  for (const { pid } of processesOf(bench.node.host.root).filter(({ argv }) => argv.includes('pct'))) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Ended meanwhile.
    }
  }
}

/** The operation's own account of what happened. */
function record(operation: Operation | undefined, point: Point): string[] {
  if (operation === undefined) {
    const mayBeUnknown = point.journal?.entry === 'begin' && point.journal.when === 'before';
    return mayBeUnknown ? [] : ['the agent does not know the operation'];
  }
  const { state, recovery, problem, endedAt, steps } = operation;
  const open = steps.filter((step) => step.state < OperationState.OPERATION_STATE_DONE).map((step) => step.name);
  return [
    ...(open.length === 0 ? [] : [`steps that never ended: ${open.join(', ')}`]),
    ...(endedAt === undefined ? ['it has no end'] : []),
    ...(state === OperationState.OPERATION_STATE_DONE ? asDone(recovery, point) : asUndone(recovery, problem)),
  ];
}

function asDone(recovery: string, { journal }: Point): string[] {
  const wasOver = journal?.entry === 'operation done' && journal.when === 'after';
  return recovery === (wasOver ? '' : 'resumed') ? [] : [`it is done, with recovery "${recovery}"`];
}

function asUndone(recovery: string, problem: Problem | undefined): string[] {
  if (recovery !== 'undone') return [`it failed with recovery "${recovery}": ${problem?.message ?? 'no problem'}`];
  return problem?.code === 'PXM_INTERRUPTED' ? [] : [`it was undone, with ${problem?.code ?? 'no problem'}`];
}

/** The image may come with what a scenario prepares, and goes with the clean-up of another. */
const IMAGE = /^(?:gone|new \w+): (?:agent:\/images\/(?:layouts|records)\/|archive: )/;

/** Differences of the world from what they should be, when they do not go away. */
async function unexpected(
  bench: AgentBench,
  { subject, before, expected }: { subject: Subject; before: ReadonlyMap<string, string>; expected: readonly string[] },
): Promise<string[]> {
  const look = (): string[] => {
    const found = differences(before, bench.world(subject));
    return [
      ...found.filter((line) => !expected.includes(line)),
      ...expected.filter((line) => !found.includes(line)).map((line) => `missing: ${line}`),
      ...bench.leftovers(),
    ];
  };
  const isClean = (): true | undefined => (look().length === 0 ? true : undefined);
  return await waitFor('the host is as it should be', SETTLE_MS, isClean).then(() => [], look);
}

/** A guest that stops takes a moment to go away. */
const SETTLE_MS = 5_000;

async function settled(bench: AgentBench, subject: Subject, before: ReadonlyMap<string, string>): Promise<string[]> {
  await waitFor('nothing is left of the work', WAIT_LIMIT_MS, () =>
    bench.leftovers().length === 0 ? true : undefined,
  );
  return differences(before, bench.world(subject));
}
