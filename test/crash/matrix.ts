/** All kinds, all points, or a part of them that has every kind of point. */
import type { AgentBench } from './agent-bench.ts';
import { SCENARIOS, type Scenario } from './kinds.ts';
import { type Learned, learn, type Point, type Strike, strike } from './strike.ts';

export interface Studied extends Learned {
  readonly scenario: Scenario;
}

/** Runs every kind undisturbed. */
export async function studyAll(bench: AgentBench): Promise<Studied[]> {
  const studied: Studied[] = [];
  for (const scenario of SCENARIOS) studied.push(await study(bench, scenario));
  return studied;
}

export async function study(bench: AgentBench, scenario: Scenario): Promise<Studied> {
  // Folders and records that the first use makes are no effect of the second.
  await learn(bench, scenario);
  return { scenario, ...(await learn(bench, scenario)) };
}

/** Those whose name matches: what a long run found is repeated alone. */
export function chosen(points: readonly Point[], pattern = process.env['PXMGR_POINT']): Point[] {
  return pattern === undefined ? [...points] : points.filter(({ name }) => new RegExp(pattern).test(name));
}

/** Each kind of point at least once, at places that the seed chooses. */
export function representative(studied: readonly Studied[], random: () => number): Studied[] {
  const seen = new Set<string>();
  return studied.map((one) => {
    const shuffled = one.points
      .map((point) => ({ point, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ point }) => point);
    const points = shuffled.filter(({ sort }) => {
      const isFirst = !seen.has(sort);
      seen.add(sort);
      return isFirst;
    });
    return { ...one, points };
  });
}

/** What went wrong, by kind and point; empty when nothing did. */
export async function strikeAll(bench: AgentBench, { scenario, points, effects, told }: Studied): Promise<string[]> {
  const wrong: string[] = [];
  for (const point of points) wrong.push(...(await strikeOne(bench, scenario, { deaths: [point], effects, told })));
  return wrong;
}

export async function strikeOne(bench: AgentBench, scenario: Scenario, plan: Strike): Promise<string[]> {
  const where = `${nameOf(scenario)}, ${plan.deaths.map(({ name }) => name).join(', then ')}`;
  const problems = await strike(bench, scenario, plan).catch(async (error: unknown) => {
    // The next point begins afresh.
    bench.faults.clear();
    if (!bench.node.isAlive) await bench.restart();
    return [error instanceof Error ? error.message : String(error)];
  });
  const wrong = problems.map((problem) => `${where}: ${problem}`);
  // A run of hours tells what it finds when it finds it.
  for (const line of wrong) process.stdout.write(`${line}\n`);
  return wrong;
}

export function nameOf({ kind, variant }: Scenario): string {
  return variant === undefined ? kind : `${kind} ${variant}`;
}

/** mulberry32: small, and the same everywhere. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
