/** Every speed target, in one place. `must` is what a release has to reach, `goal` what we want. Measured, never asserted. */

export interface Target {
  /** What `--only` names. */
  readonly name: string;
  readonly what: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly must: number;
  readonly goal: number;
}

type Bounds = readonly [must: number, goal: number];

const rate = (name: string, what: string, [must, goal]: Bounds): Target => ({
  name,
  what,
  unit: '/s',
  better: 'higher',
  must,
  goal,
});

const limit = (name: string, what: string, [must, goal, unit]: readonly [...Bounds, unit: string]): Target => ({
  name,
  what,
  unit,
  better: 'lower',
  must,
  goal,
});

export const TARGETS: readonly Target[] = [
  rate('placement-1000', 'committed placements, 1,000 hosts, 100k guests', [5000, 20_000]),
  rate('placement-5000', 'committed placements, 5,000 hosts, 100k guests', [2000, 8000]),
  {
    name: 'placement-hard',
    what: 'with exclusions, spread and VRAM asks, of the plain rate',
    unit: '%',
    better: 'higher',
    must: 50,
    goal: 80,
  },
  limit('ingest', 'publish to visible, p99 at 5,000 events/s', [100, 25, 'ms']),
  limit('cold-start', 'inventory of 100k guests into an empty database', [5, 2, 's']),
  limit('warm-start', 'controller process with 100k guests, start to first answer', [1, 0.3, 's']),
  limit('controller-memory', 'controller process, 1,000 hosts, 100k guests', [300, 150, 'MB']),
  limit('agent-scan', 'agent reads 100 guests', [20, 5, 'ms']),
  limit('change-visible', 'change on a host to visible in a query, p99', [1.5, 0.3, 's']),
  limit('agent-memory', 'idle agent process, resident memory', [60, 40, 'MB']),
  limit('agent-cpu', 'idle agent process, CPU', [0.5, 0.2, '%']),
  limit('sim-fleet', '1,000 stand-in hosts with 100 guests each, resident memory', [2048, 512, 'MB']),
  limit('sim-fleet-made', '1,000 stand-in hosts with 100 guests each, made from a seed', [300, 60, 's']),
  limit('create-overhead', 'our own time in a create, of that of `pct create`', [5, 2, '%']),
  limit('second-guest', 'second guest of an image that is there, on ZFS', [5, 1, 's']),
  limit('cli-list', '`container list` as a process, p99', [150, 90, 'ms']),
];

export function targetOf(name: string): Target {
  const found = TARGETS.find((target) => target.name === name);
  if (found === undefined) throw new Error(`no target ${name}`);
  return found;
}
