/** Kills inside a recovery, and inside the recovery of that: after one death of each kind of operation, at every point. */
import type { AgentBench } from './agent-bench.ts';
import { SCENARIOS, type Scenario } from './kinds.ts';
import { strikeOne, study } from './matrix.ts';
import { learnRecovery, type Point } from './strike.ts';

/** A first death that leaves its recovery much to do, and what stands in its way. */
export interface Interrupted {
  readonly scenario: Scenario;
  readonly first: Point;
  readonly effects: readonly string[];
  /** Of the recovery. */
  readonly points: readonly Point[];
}

/** Where most is left to do: volumes are there or gone, the configuration does not say so yet. */
function deepest(points: readonly Point[]): Point | undefined {
  const deaths = points.filter(({ killsTool }) => killsTool === true);
  const outcomes = points.filter(({ journal }) => journal?.entry.startsWith('outcome') === true);
  return (
    deaths.findLast(({ tool }) => tool?.point === 'before-config') ??
    deaths.findLast(({ tool }) => tool?.point !== 'end') ??
    outcomes[0]
  );
}

export async function interrupt(bench: AgentBench, scenario: Scenario): Promise<Interrupted> {
  const { points, effects } = await study(bench, scenario);
  const first = deepest(points);
  if (first === undefined) throw new Error(`${scenario.kind} has no effect to be interrupted in`);
  return { scenario, first, effects, points: await learnRecovery(bench, scenario, { point: first, effects }) };
}

/** A second death at each of the points, and at those where something is half done a third one in the next recovery. */
export async function strikeTwice(
  bench: AgentBench,
  { scenario, first, effects, points }: Interrupted,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const point of points) {
    wrong.push(...(await strikeOne(bench, scenario, { deaths: [first, point], effects })));
    if (isHalfDone(point))
      wrong.push(...(await strikeOne(bench, scenario, { deaths: [first, point, point], effects })));
  }
  return wrong;
}

function isHalfDone({ journal, killsTool }: Point): boolean {
  return killsTool === true || (journal?.when === 'after' && journal.entry.startsWith('intent'));
}

export function scenarioOf(kind: string, variant?: string): Scenario {
  const found = SCENARIOS.find((one) => one.kind === kind && one.variant === variant);
  if (found === undefined) throw new Error(`no scenario of ${kind}`);
  return found;
}
