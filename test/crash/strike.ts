/** Learns the points of one scenario and of the recovery after one, and kills the agent at one of them, or at several in turn. */
import { randomBytes } from 'node:crypto';
import { type Operation, OperationState } from '@pxmgr/contract/common';
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { FAULT_POINTS, type FaultPointName } from '@pxmgr/sim/call/fault-points';
import { lasting, waitFor } from '../../deploy/stand/wait.ts';
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
  readonly journal?: Pick<JournalFault, 'entry' | 'nth' | 'when' | 'phase'>;
  /** Lasting points of the tools that the operation runs. */
  readonly tool?: FaultRule;
  /** The tool that runs at the point is killed as well. */
  readonly killsTool?: boolean;
}

export interface Learned {
  readonly points: readonly Point[];
  /** What the operation changes when nothing disturbs it. */
  readonly effects: readonly string[];
  /** What it tells then: its warnings, and the names of its results. */
  readonly told: readonly string[];
}

/** How long a tool that outlives its agent works on: into the recovery of the next one. */
const WORKS_ON_MS = 700;

const FAULT_PLACES = Object.keys(FAULT_POINTS) as FaultPointName[];
const PCT_VERBS = [
  'create',
  'clone',
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
  watchAll(bench);
  const told = toldBy(await bench.succeed((order) => scenario.order(bench, subject, order)));
  const points = watched(bench, scenario);
  const effects = await settled(bench, subject, before);
  await scenario.cleanUp(bench, subject, true);
  return { points, effects, told };
}

function toldBy({ results, warnings }: Operation): string[] {
  return [...warnings, ...Object.keys(results)];
}

/** From now on every point that is passed is noted. */
function watchAll(bench: AgentBench): void {
  const verbs = PCT_VERBS.map((verb) => `pct ${verb}`);
  setFaults(
    bench.node.host,
    verbs.flatMap((at) => FAULT_PLACES.map((point): FaultRule => ({ at, point, do: 'delay', delayMs: 0, times: 0 }))),
  );
  bench.faults.trace();
}

/** The points passed since; ends it. */
function watched(bench: AgentBench, { kind }: Scenario): Point[] {
  const entries = bench.faults.traced().filter((entry) => entry.kind === kind);
  const reached = faultsOf(bench.node.host).filter((rule) => (rule.done ?? 0) > 0);
  setFaults(bench.node.host, []);
  return [...journalPoints(entries), ...toolPoints(reached)];
}

/** Points of the recovery that follows a death at `point`. */
export async function learnRecovery(
  bench: AgentBench,
  scenario: Scenario,
  { point, effects }: { point: Point; effects: readonly string[] },
): Promise<Point[]> {
  let points: Point[] = [];
  const recover = async (): Promise<void> => {
    watchAll(bench);
    await bench.restart();
    points = watched(bench, scenario);
  };
  const problems = await strike(bench, scenario, { deaths: [point], effects, recover });
  if (problems.length > 0) throw new Error(problems.join('; '));
  return points;
}

/** Before and after each line; one point where nothing can happen in between. Of output lines the first is enough. */
function journalPoints(entries: readonly TraceEntry[]): Point[] {
  const counts = new Map<string, number>();
  return entries.flatMap(({ entry, turn, phase }, index): Point[] => {
    const nth = (counts.get(entry) ?? 0) + 1;
    counts.set(entry, nth);
    if ((entry === 'log' || entry === 'bytes') && nth > 1) return [];
    const isSameTurn = entries[index - 1]?.turn === turn;
    const whens = isSameTurn ? (['after'] as const) : (['before', 'after'] as const);
    const sort = /^(?:step|command)/.test(entry) ? (entry.split(' ', 1)[0] ?? '') : entry;
    return whens.map((when) => ({
      name: `${when} journal entry ${entry}${nth > 1 ? ` (${nth})` : ''}`,
      sort: `${when} ${sort}`,
      journal: { entry, nth, when, phase },
    }));
  });
}

/** The agent dies while the tool works on; and both die. Between the entries of an archive the first time and the last. */
function toolPoints(reached: readonly FaultRule[]): Point[] {
  return reached.flatMap(({ at, point, done = 1 }) =>
    (point === 'mid-extract' ? [...new Set([1, done])] : numbers(done)).flatMap((nth): Point[] => {
      const where = `${point}${nth > 1 ? ` (${nth})` : ''}`;
      const held = { at, point, skip: nth - 1, do: 'hang' } as const;
      return [
        { name: `while ${at} is at ${where}`, sort: `${at} works`, tool: { ...held, delayMs: WORKS_ON_MS } },
        {
          name: `together with ${at} at ${where}`,
          sort: `${at} dies too`,
          tool: held,
          killsTool: true,
        },
      ];
    }),
  );
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

export interface Strike {
  /** The first in the work, each of the others in the recovery that follows the one before. */
  readonly deaths: readonly Point[];
  readonly effects: readonly string[];
  /** See Learned; default: whatever it tells. */
  readonly told?: readonly string[];
  /** The last start of the agent; what it was told to fail at is over. */
  readonly recover?: () => Promise<void>;
}

/** What is wrong afterwards, for people; empty when all is well. */
export async function strike(bench: AgentBench, scenario: Scenario, plan: Strike): Promise<string[]> {
  const subject = subjectOf(scenario);
  const first = bench.world(subject);
  await scenario.prepare(bench, subject);
  const before = bench.world(subject);
  const order = bench.newOrder();
  const [point, ...later] = plan.deaths;
  if (point === undefined) throw new Error('the agent has to die somewhere');
  arm(bench, scenario, point);
  // The answer may be lost with the agent.
  const sent = scenario.order(bench, subject, order).catch(() => undefined);
  await dies(bench, point);
  await sent;
  for (const next of later) await dieInRecovery(bench, scenario, next);
  await (plan.recover ?? (() => bench.restart()))();
  setFaults(bench.node.host, []);
  const operation = await bench.ended(order);
  const isDone = operation?.state === OperationState.OPERATION_STATE_DONE;
  const expected = isDone ? plan.effects : [];
  const problems = [
    ...record(operation, plan.deaths),
    ...(isDone ? untold(operation, plan) : []),
    ...(await unexpected(bench, { subject, before, expected })),
  ];
  try {
    await scenario.cleanUp(bench, subject, isDone);
    const rest = await unexpected(bench, { subject, before: first, expected: [], mayDiffer: IMAGE });
    problems.push(...rest.map((line) => `after the clean-up: ${line}`));
  } catch (error) {
    problems.push(`the clean-up failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  return problems;
}

function arm(bench: AgentBench, { kind }: Scenario, { journal, tool }: Point): void {
  if (journal !== undefined) bench.faults.set({ at: 'journal', kind, ...journal });
  setFaults(bench.node.host, tool === undefined ? [] : [tool]);
}

async function dies(bench: AgentBench, point: Point): Promise<void> {
  if (point.tool !== undefined) await atTool(bench, point);
  await bench.died();
}

/** A recovery that another death has shortened may not come to the point any more: then it ends well. */
async function dieInRecovery(bench: AgentBench, scenario: Scenario, point: Point): Promise<void> {
  arm(bench, scenario, point);
  await bench.node.kill();
  bench.node.startOnly();
  await waitFor('the agent dies in its recovery or ends it', WAIT_LIMIT_MS, async () => {
    if (!bench.node.isAlive) return true;
    if (point.tool !== undefined && isAtTool(bench)) return await killAtTool(bench, point).then(() => true);
    return (await bench.hasRecovered()) ? true : undefined;
  });
  bench.faults.clear();
}

async function atTool(bench: AgentBench, point: Point): Promise<void> {
  await waitFor('the tool reaches the point', WAIT_LIMIT_MS, () => (isAtTool(bench) ? true : undefined));
  await killAtTool(bench, point);
}

function isAtTool(bench: AgentBench): boolean {
  return faultsOf(bench.node.host).some((rule) => (rule.done ?? 0) > 0);
}

async function killAtTool(bench: AgentBench, point: Point): Promise<void> {
  await bench.node.kill();
  if (point.killsTool !== true) {
    setFaults(bench.node.host, []);
    return;
  }
  for (const { pid } of processesOf(bench.node.host.root).filter(({ argv }) => argv.includes('pct'))) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Ended meanwhile.
    }
  }
}

/** The operation's own account of what happened. */
function record(operation: Operation | undefined, deaths: readonly Point[]): string[] {
  if (operation === undefined) {
    const mayBeUnknown = deaths.some(({ journal }) => journal?.entry === 'begin' && journal.when === 'before');
    return mayBeUnknown ? [] : ['the agent does not know the operation'];
  }
  const { state, recovery, endedAt, steps } = operation;
  const open = steps.filter((step) => step.state < OperationState.OPERATION_STATE_DONE).map((step) => step.name);
  return [
    ...(open.length === 0 ? [] : [`steps that never ended: ${open.join(', ')}`]),
    ...(endedAt === undefined ? ['it has no end'] : []),
    ...(state === OperationState.OPERATION_STATE_DONE ? asDone(recovery, deaths) : asFailed(operation, deaths)),
  ];
}

function untold(operation: Operation, { told = [] }: Strike): string[] {
  const found = toldBy(operation);
  return told.filter((text) => !found.includes(text)).map((text) => `it does not tell: ${text}`);
}

function asDone(recovery: string, deaths: readonly Point[]): string[] {
  const wasOver = deaths.some(
    ({ journal }) => journal?.phase === 'work' && journal.entry === 'operation done' && journal.when === 'after',
  );
  return recovery === (wasOver ? '' : 'resumed') ? [] : [`it is done, with recovery "${recovery}"`];
}

/** A guest that may have been told to go down, and does not, is one that takes too long for it. */
function asFailed(operation: Operation, deaths: readonly Point[]): string[] {
  const { kind, recovery, problem } = operation;
  const mayBeTold = kind === 'container.shutdown' && deaths.some(({ killsTool }) => killsTool === true);
  const isTooLong = recovery === 'resumed' && problem?.code === 'PXM_SHUTDOWN_TIMEOUT';
  return mayBeTold && isTooLong ? [] : asUndone(operation);
}

function asUndone({ recovery, problem }: Operation): string[] {
  const why = [problem?.message ?? 'no problem', ...(problem?.causes ?? [])].join(': ');
  if (recovery !== 'undone') return [`it failed with recovery "${recovery}": ${why}`];
  return problem?.code === 'PXM_INTERRUPTED' ? [] : [`it was undone, with ${problem?.code ?? 'no problem'}`];
}

/** The image may come with what a scenario prepares, and goes with the clean-up of another. */
const IMAGE = /^(?:gone|new \w+): (?:agent:\/images\/(?:layouts|records)\/|archive: )/;

interface Expectation {
  readonly subject: Subject;
  readonly before: ReadonlyMap<string, string>;
  readonly expected: readonly string[];
  readonly mayDiffer?: RegExp;
}

/** Differences of the world from what they should be, when they do not go away: a guest that stops takes a moment. */
async function unexpected(
  bench: AgentBench,
  { subject, before, expected, mayDiffer = /(?!)/ }: Expectation,
): Promise<string[]> {
  const look = (): string[] => {
    const found = differences(before, bench.world(subject)).filter((line) => !mayDiffer.test(line));
    return [
      ...found.filter((line) => !expected.includes(line)),
      ...expected.filter((line) => !found.includes(line)).map((line) => `missing: ${line}`),
      ...bench.leftovers(),
    ];
  };
  return await lasting(WAIT_LIMIT_MS, look);
}

async function settled(bench: AgentBench, subject: Subject, before: ReadonlyMap<string, string>): Promise<string[]> {
  await waitFor('nothing is left of the work', WAIT_LIMIT_MS, () =>
    bench.leftovers().length === 0 ? true : undefined,
  );
  return differences(before, bench.world(subject));
}
