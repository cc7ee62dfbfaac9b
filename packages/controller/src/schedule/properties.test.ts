import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gib, type NodeSketch } from '../domain/fleet.fixture.ts';
import { DEFAULT_POLICY } from '../domain/placement.ts';
import { type Claim, sumHoldings } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { question, snapshots, wish } from './evaluate.fixture.ts';
import { evaluate } from './evaluate.ts';
import { explain } from './explain.ts';
import { claimOf } from './resolve.ts';

const sketch = fc.record({
  presence: fc.constantFrom('up' as const, 'up' as const, 'down' as const),
  cores: fc.integer({ min: 1, max: 32 }),
  memoryGib: fc.integer({ min: 2, max: 64 }),
  guests: fc.array(
    fc.record({ memoryBytes: fc.integer({ min: 1, max: 16 }).map(gib), cores: fc.integer({ min: 0, max: 8 }) }),
    { maxLength: 4 },
  ),
  gpus: fc.array(
    fc.record({ vramBytes: fc.constantFrom(0n, gib(8), gib(24)), vendor: fc.constantFrom('amd', 'nvidia') }),
    { maxLength: 2 },
  ),
});
const fleetOf = fc.array(sketch, { minLength: 1, maxLength: 6 }).map((list) =>
  list.map(
    (part, i): NodeSketch => ({
      ...part,
      name: `node${'abcdefgh'.charAt(i)}`,
      guests: part.guests.map((guest, j) => ({ ...guest, vmid: 100 + i * 10 + j, name: 'g' })),
      gpus: part.gpus.map((gpu, j) => ({ ...gpu, address: `0000:0${j}:00.0` })),
    }),
  ),
);
const wishes = fc
  .record({
    memoryBytes: fc.integer({ min: 1, max: 24 }).map(gib),
    cores: fc.integer({ min: 0, max: 16 }),
    gpu: fc.option(
      fc.record({
        count: fc.integer({ min: 1, max: 2 }),
        vramBytes: fc.constantFrom(0n, gib(6)),
        exclusive: fc.boolean(),
      }),
      { nil: undefined },
    ),
  })
  .map((part) => wish(part));

describe('for any fleet and wish', () => {
  it('no node is filled beyond its size, whatever was promised before', () => {
    fc.assert(
      fc.property(fleetOf, fc.array(wishes, { minLength: 1, maxLength: 12 }), (fleet, asks) => {
        const nodes = snapshots(fleet);
        const claims = new Map<string, Claim[]>();
        for (const spec of asks) {
          const holdings = new Map([...claims].map(([uid, list]) => [uid, sumHoldings(list, [])]));
          const { winner, terms } = evaluate(question(nodes, spec, { holdings }));
          if (winner !== undefined) claims.set(winner.uid, [...(claims.get(winner.uid) ?? []), claimOf(terms, winner)]);
        }
        for (const node of nodes) checkFull(node, claims.get(node.uid) ?? []);
      }),
    );
  });

  it('the answer does not depend on the order of the nodes, and the seed decides it', () => {
    fc.assert(
      fc.property(fleetOf, wishes, fc.string(), (fleet, spec, seed) => {
        const nodes = snapshots(fleet);
        const first = explain(evaluate(question(nodes, spec, { seed })));
        expect(explain(evaluate(question([...nodes].reverse(), spec, { seed })))).toEqual(first);
      }),
    );
  });

  it('every node is explained: reasons or scores, ranks without gaps', () => {
    fc.assert(
      fc.property(fleetOf, wishes, (fleet, spec) => {
        const { candidates, summary } = explain(evaluate(question(snapshots(fleet), spec)));
        expect(candidates.map((one) => one.nodeName).sort()).toEqual(fleet.map((one) => one.name).sort());
        expect(summary).not.toBe('');
        for (const one of candidates) expect(one.feasible ? one.scores.length : one.reasons.length).toBeGreaterThan(0);
        const ranks = candidates.filter((one) => one.feasible).map((one) => one.rank);
        expect(ranks).toEqual(ranks.map((_, i) => i + 1));
        for (const score of candidates.flatMap((one) => one.scores)) {
          expect(score.value).toBeGreaterThanOrEqual(0);
          expect(score.value).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('one more node never makes it worse', () => {
    fc.assert(
      fc.property(fleetOf, sketch, wishes, (fleet, extra, spec) => {
        const before = evaluate(question(snapshots(fleet), spec)).winner;
        const more: NodeSketch = {
          ...extra,
          name: 'extra',
          guests: [],
          gpus: extra.gpus.map((gpu, j) => ({ ...gpu, address: `0000:0${j}:00.0` })),
        };
        const after = evaluate(question(snapshots([...fleet, more]), spec)).winner;
        if (before !== undefined) expect(after?.total ?? -1).toBeGreaterThanOrEqual(before.total - 1e-9);
      }),
    );
  });
});

function checkFull(node: NodeSnapshot, claims: readonly Claim[]): void {
  if (claims.length === 0) return;
  const memory = claims.reduce((sum, claim) => sum + claim.memoryBytes, node.guestMemoryBytes);
  expect(memory).toBeLessThanOrEqual(node.memoryBytes - DEFAULT_POLICY.hostMemoryBytes);
  const cores = claims.reduce((sum, claim) => sum + claim.cpuCores, node.guestCores);
  expect(cores).toBeLessThanOrEqual(node.cores * DEFAULT_POLICY.cpuOvercommit);
  for (const gpu of node.gpus) {
    const holders = claims.flatMap((claim) => claim.devices.filter((device) => device.device === gpu.address));
    if (holders.some((holder) => holder.exclusive)) expect(holders).toHaveLength(1);
    const vram = holders.reduce((sum, holder) => sum + holder.vramBytes, 0);
    if (vram > 0) expect(vram).toBeLessThanOrEqual(gpu.vramBytes);
  }
}
