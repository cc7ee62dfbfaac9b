import { ContainerSpec } from '@pxmgr/contract/common';
import type { Candidate } from '@pxmgr/contract/controller';
import { gib, type NodeSketch, SketchedFleet, uidOf } from '@pxmgr/controller/domain/fleet.fixture';
import { askOf, DEFAULT_POLICY, fillDefaults } from '@pxmgr/controller/domain/placement';
import { type Claim, sumHoldings } from '@pxmgr/controller/domain/reservation';
import type { NodeSnapshot } from '@pxmgr/controller/domain/snapshot';
import { buildNodeSnapshot } from '@pxmgr/controller/domain/snapshot-build';
import { evaluate } from '@pxmgr/controller/schedule/evaluate';
import { explain } from '@pxmgr/controller/schedule/explain';
import { resolveSpec } from '@pxmgr/controller/schedule/resolve';
import { parse } from 'yaml';

/** Sizes end in Gib and are numbers; all else is named as in the protocol. */
interface Scenario {
  readonly seed: string;
  readonly nodes: readonly NodeSketch[];
  readonly promised?: Readonly<Record<string, Partial<Claim>>>;
  readonly spec: Parameters<typeof ContainerSpec.fromPartial>[0];
  readonly constraints?: { readonly node?: string; readonly excludeNodes?: string[]; readonly vmid?: number };
}

/** The YAML of a scenario to the explanation a person would read. */
export function playScenario(text: string): string {
  const scenario = withBytes(parse(text)) as Scenario;
  const fleet = new SketchedFleet(scenario.nodes);
  const nodes = scenario.nodes.map((sketch): NodeSnapshot => {
    const state = fleet.node(sketch.name);
    if (state === undefined) throw new Error(`no node ${sketch.name}`);
    return buildNodeSnapshot(state, fleet.contents(state.uid));
  });
  const holdings = new Map(
    Object.entries(scenario.promised ?? {}).map(([name, part]) => {
      return [
        uidOf(name),
        sumHoldings([{ memoryBytes: 0, cpuCores: 0, pools: [], devices: [], ...numbers(part) }], []),
      ];
    }),
  );
  const spec = fillDefaults(ContainerSpec.fromPartial(scenario.spec), DEFAULT_POLICY, []);
  const ask = askOf(spec, { node: '', excludeNodes: [], vmid: 0, ...scenario.constraints });
  const verdict = evaluate({ ask, policy: DEFAULT_POLICY, nodes, holdings, vmidReserved: [], seed: scenario.seed });
  const { summary, candidates } = explain(verdict);
  const resolved = verdict.winner === undefined ? undefined : resolveSpec(spec, verdict.winner);
  const devices = resolved?.devices.map((device) => device.path).join(', ') ?? '';
  const chosen =
    resolved === undefined ? [] : [`storage ${resolved.storage}${devices === '' ? '' : `, devices ${devices}`}`];
  return `${[summary, ...chosen, ...candidates.flatMap(lines)].join('\n')}\n`;
}

function lines(candidate: Candidate): string[] {
  if (!candidate.feasible) {
    const reasons = candidate.reasons.map(
      (reason) => `     ${reason.filter}: ${reason.text} [${reason.wanted} / ${reason.found}]`,
    );
    return [`  -  ${candidate.nodeName}`, ...reasons];
  }
  const scores = candidate.scores.map(
    (score) => `     ${score.name} ${score.value.toFixed(3)} x ${score.weight}: ${score.text}`,
  );
  return [`  ${candidate.rank}  ${candidate.nodeName} ${candidate.total.toFixed(4)}`, ...scores];
}

/** memoryGib: 8 -> memoryBytes: 8589934592n; memoryGib of a node stays. */
function withBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBytes);
  if (typeof value !== 'object' || value === null) return value;
  const isNode = 'guests' in value || 'gpus' in value || 'storages' in value || 'isNode' in value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isSize = key.endsWith('Gib') && typeof inner === 'number' && !isNode;
      return isSize ? [key.replace(/Gib$/, 'Bytes'), gib(inner)] : [key, withBytes(inner)];
    }),
  );
}

/** Claims are sums of numbers, not of protocol sizes. */
function numbers(part: unknown): Partial<Claim> {
  const plain = JSON.stringify(part, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
  return JSON.parse(plain) as Partial<Claim>;
}
