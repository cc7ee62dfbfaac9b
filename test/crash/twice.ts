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

/** Where most is left to do: volumes are there or gone, the configuration does not say so yet; or it says nothing else any more. */
function deepest(points: readonly Point[]): Point[] {
  const deaths = points.filter(({ killsTool }) => killsTool === true);
  const outcomes = points.filter(({ journal }) => journal?.entry.startsWith('outcome') === true);
  const first =
    deaths.findLast(({ tool }) => tool?.point === 'before-config') ??
    deaths.findLast(({ tool }) => tool?.point !== 'end' && tool?.point !== 'before-verdict') ??
    outcomes[0];
  const bare = deaths.find(({ tool }) => tool?.point === 'before-removal');
  return [first, bare].filter((point) => point !== undefined);
}

/** Each with the points of the recovery that follows it. */
export async function interruptions(bench: AgentBench, scenario: Scenario): Promise<Interrupted[]> {
  const { points, effects } = await study(bench, scenario);
  const deaths = deepest(points);
  if (deaths.length === 0) throw new Error(`${scenario.kind} has no effect to be interrupted in`);
  const found: Interrupted[] = [];
  for (const first of deaths)
    found.push({ scenario, first, effects, points: await learnRecovery(bench, scenario, { point: first, effects }) });
  return found;
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
