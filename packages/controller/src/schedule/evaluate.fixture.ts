/** For tests: snapshots of sketched nodes, and wishes held against them. */
import { ContainerSpec } from '@pxmgr/contract/common';
import { type NodeSketch, SketchedFleet, uidOf } from '../domain/fleet.fixture.ts';
import { askOf, DEFAULT_POLICY, fillDefaults } from '../domain/placement.ts';
import { type Claim, type Holdings, sumHoldings } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { buildNodeSnapshot } from '../domain/snapshot-build.ts';
import type { Question, Verdict } from './evaluate.ts';

export const DIGEST = `sha256:${'b'.repeat(64)}`;

export function snapshots(sketches: readonly NodeSketch[]): NodeSnapshot[] {
  const fleet = new SketchedFleet(sketches);
  return sketches.map((sketch) => {
    const state = fleet.node(sketch.name);
    if (state === undefined) throw new Error('no such node');
    return buildNodeSnapshot(state, fleet.contents(state.uid));
  });
}

export type Part = Parameters<typeof ContainerSpec.fromPartial>[0];

export function wish(part: Part = {}): ContainerSpec {
  const image = { reference: 'docker.io/library/nginx:1.27', digest: DIGEST, platform: 'linux/amd64', sizeBytes: 10n };
  return fillDefaults(
    ContainerSpec.fromPartial({ name: 'web', source: { $case: 'image', value: image }, ...part }),
    DEFAULT_POLICY,
    [],
  );
}

export function question(nodes: readonly NodeSnapshot[], spec: ContainerSpec, part: Partial<Question> = {}): Question {
  const ask = askOf(spec, { node: '', excludeNodes: [], vmid: 0 });
  return { ask, policy: DEFAULT_POLICY, nodes, holdings: new Map(), vmidReserved: [], seed: 'seed', ...part };
}

export function filtersOf(verdict: Verdict, name: string): string[] {
  return verdict.assessed.find((one) => one.node.name === name)?.fit.reasons.map((reason) => reason.filter) ?? [];
}

export function held(name: string, claim: Partial<Claim>): Map<string, Holdings> {
  return new Map([[uidOf(name), sumHoldings([{ memoryBytes: 0, cpuCores: 0, pools: [], devices: [], ...claim }], [])]]);
}
