/** All kinds, all points, or a part of them that has every kind of point. */
import type { AgentBench } from './agent-bench.ts';
import { SCENARIOS, type Scenario } from './kinds.ts';
import { type Learned, learn, type Strike, strike } from './strike.ts';

export interface Studied extends Learned {
  readonly scenario: Scenario;
}

/** Runs every kind once, undisturbed. */
export async function study(bench: AgentBench): Promise<Studied[]> {
  // Folders and records that the first use makes are no effect of the second.
  for (const scenario of SCENARIOS) await learn(bench, scenario);
  const studied: Studied[] = [];
  for (const scenario of SCENARIOS) studied.push({ scenario, ...(await learn(bench, scenario)) });
  return studied;
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
export async function strikeAll(bench: AgentBench, { scenario, points, effects }: Studied): Promise<string[]> {
  const wrong: string[] = [];
  for (const point of points) wrong.push(...(await strikeOne(bench, scenario, { deaths: [point], effects })));
  return wrong;
}

export async function strikeOne(bench: AgentBench, scenario: Scenario, plan: Strike): Promise<string[]> {
  const where = `${nameOf(scenario)}, ${plan.deaths.map(({ name }) => name).join(', then ')}`;
  try {
    return (await strike(bench, scenario, plan)).map((problem) => `${where}: ${problem}`);
  } catch (error) {
    // The next point begins afresh.
    bench.faults.clear();
    if (!bench.node.isAlive) await bench.restart();
    return [`${where}: ${error instanceof Error ? error.message : String(error)}`];
  }
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
