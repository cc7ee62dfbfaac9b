import { GuestDevice } from '@pxmgr/contract/common';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gib, type NodeSketch } from '../domain/fleet.fixture.ts';
import type { Presence } from '../domain/node-state.ts';
import { askOf, DEFAULT_POLICY } from '../domain/placement.ts';
import { type Claim, type Holdings, NO_HOLDINGS, sumHoldings } from '../domain/reservation.ts';
import { type Choice, choose } from './choose.ts';
import { Columns } from './columns.ts';
import { DIGEST, type Part, snapshots, wish } from './evaluate.fixture.ts';
import { assess, type Field, termsOf } from './evaluate.ts';
import type { Terms } from './feasible.ts';
import { stableHash } from './pick.ts';

/** The rule in its plainest form: assess every node by its snapshot, sort, take two. */
function reference(terms: Terms, { nodes, held }: Field, seed: string): Choice {
  const fitting = nodes
    .map((node, slot) => ({ slot, ...assess(terms, node, held[slot] ?? NO_HOLDINGS) }))
    .filter((one) => one.isFeasible)
    .sort(
      (a, b) =>
        Math.round(b.total / 1e-9) - Math.round(a.total / 1e-9) ||
        stableHash(`${seed}/${a.uid}`) - stableHash(`${seed}/${b.uid}`) ||
        (a.uid < b.uid ? -1 : 1),
    );
  return { first: fitting[0]?.slot ?? -1, second: fitting[1]?.slot ?? -1, fitting: fitting.length };
}

/** Without the literal types of `fc.constantFrom`. */
function oneOf<T>(...values: T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values);
}

/** The first of them in most cases: where everything varies, nothing fits anywhere. */
function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: oneOf(...others) });
}

const CARDS = ['0000:01:00.0', '0000:02:00.0'];
const USB = '/dev/serial/by-id/usb-zigbee';

const storage = fc.record({
  id: oneOf('local', 'fast', 'slow', 'tank'),
  type: mostly('zfspool', 'lvmthin', 'dir', 'nfs', 'strange'),
  content: mostly(['rootdir', 'vztmpl'], ['rootdir'], ['vztmpl'], ['iso']),
  enabled: mostly(true, false),
  totalBytes: oneOf(gib(100), gib(50), gib(50), 0n),
  availableBytes: mostly(gib(50), gib(9), gib(0), gib(100)),
});
const gpu = fc.record({
  vendor: mostly('amd', 'nvidia'),
  vramBytes: oneOf(gib(8), gib(8), gib(24), 0n),
  usedBy: oneOf<number[]>([], [], [100]),
  devicePaths: mostly<string[]>(['/dev/dri/renderD128'], []),
});
const guest = fc.record({
  memoryBytes: mostly(gib(1), gib(3), gib(8)),
  cores: mostly(1, 0, 8),
  imageDigest: oneOf(DIGEST, ''),
  status: oneOf('running', 'stopped'),
  devices: oneOf<GuestDevice[]>([], [GuestDevice.fromPartial({ path: USB })]),
});
const sketch = fc.record({
  presence: mostly<Presence>('up', 'suspect'),
  cores: mostly(8, 1, 4),
  memoryGib: mostly(32, 8, 3),
  document: fc.record({
    cluster: oneOf('', 'a'),
    quorate: mostly(true, false),
    architecture: mostly('x86_64', 'aarch64', ''),
    capabilities: mostly(
      ['container.lxc', 'container.oci', 'image.pull', 'device.passthrough'],
      ['container.lxc', 'container.oci', 'device.passthrough'],
      ['image.pull'],
    ),
  }),
  storages: fc.uniqueArray(storage, { minLength: 1, maxLength: 4, selector: (one) => one.id }),
  guests: fc.array(guest, { maxLength: 2 }),
  gpus: fc.array(gpu, { minLength: 1, maxLength: 2 }),
  usb: oneOf<NonNullable<NodeSketch['usb']>>([], [{ id: '1-1', devicePaths: [USB] }]),
  images: oneOf<string[]>([], [DIGEST]),
  templates: mostly<string[]>(['local:vztmpl/debian.tar.zst'], []),
  bridges: mostly(['vmbr0', 'vmbr1'], ['vmbr0'], []),
  datasets: mostly<NonNullable<NodeSketch['datasets']>>([{ name: 'tank/media', mountpoint: '/tank/media' }], []),
});
const claim: fc.Arbitrary<Claim> = fc.record({
  memoryBytes: oneOf(0, 2 ** 30),
  cpuCores: mostly(1, 0, 8),
  pools: fc.array(fc.record({ storage: oneOf('fast', 'tank'), bytes: mostly(2 ** 33, 2 ** 36) })),
  devices: fc.array(
    fc.record({
      device: oneOf(...CARDS, 'usb:1-1'),
      vramBytes: oneOf(0, 2 ** 33),
      exclusive: mostly(false, true),
    }),
    { maxLength: 2 },
  ),
});
const holdings = fc
  .array(claim, { maxLength: 2 })
  .map((claims) => (claims.length === 0 ? NO_HOLDINGS : sumHoldings(claims, [])));
const slot = fc.tuple(sketch, holdings);

const parts = fc.record({
  memoryBytes: mostly(gib(1), gib(6), gib(30)),
  cores: mostly(1, 0, 2, 8),
  rootfsBytes: mostly(gib(8), gib(60)),
  source: oneOf<NonNullable<Part['source']>>(
    ...[10n, gib(60)].map((sizeBytes) => ({
      $case: 'image' as const,
      value: { reference: 'docker.io/library/nginx:1.27', digest: DIGEST, platform: 'linux/amd64', sizeBytes },
    })),
    { $case: 'template' as const, value: { volumeId: 'local:vztmpl/debian.tar.zst' } },
  ),
  storage: mostly('', 'fast'),
  networks: oneOf<NonNullable<Part['networks']>>(
    [],
    [{ name: 'eth0', bridge: 'vmbr0' }],
    [{ name: 'eth0', bridge: 'vmbr1' }],
  ),
  devices: mostly<NonNullable<Part['devices']>>([], [{ path: USB }]),
  gpu: fc.option(
    fc.record({
      count: mostly(1, 2),
      vendor: mostly('', 'amd'),
      address: mostly('', CARDS[1] ?? ''),
      vramBytes: oneOf(0n, gib(6)),
      exclusive: fc.boolean(),
    }),
    { nil: undefined },
  ),
  mounts: oneOf<NonNullable<Part['mounts']>>(
    [],
    [],
    [{ target: '/v', source: { $case: 'volume' as const, value: { storage: '', sizeBytes: gib(2) } } }],
    [{ target: '/v', source: { $case: 'volume' as const, value: { storage: 'tank', sizeBytes: gib(2) } } }],
    [{ target: '/m', source: { $case: 'dataset' as const, value: 'tank/media' } }],
    [{ target: '/m', source: { $case: 'bind' as const, value: '/tank/media/films' } }],
  ),
});
const wishes = parts.map((part) => wish(part));
const constraints = fc.record({
  node: mostly('', 'nodeb'),
  excludeNodes: oneOf<string[]>([], [], ['nodea']),
  vmid: mostly(0, 100),
});

type Sketch = typeof sketch extends fc.Arbitrary<infer T> ? T : never;

function toSketch([part]: readonly [Sketch, Holdings], index: number): NodeSketch {
  return {
    ...part,
    name: `node${'abcdefghijklmnopqrstuvwxyz'.charAt(index % 26)}${index < 26 ? '' : 'x'}`,
    guests: part.guests.map((one, i) => ({ ...one, vmid: 100 + i, name: 'g' })),
    gpus: part.gpus.map((one, i) => ({ ...one, address: CARDS[i] ?? '' })),
  };
}

describe('choose', () => {
  const both = { ask: wishes, constraints, seed: fc.string() };

  it('over columns gives what assessing every snapshot gives', () => {
    const fleets = fc.array(slot, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fleets, fc.record(both), (fleet, { ask: spec, constraints: where, seed }) => {
        const nodes = snapshots(fleet.map(toSketch));
        const held = fleet.map(([, promised]) => promised);
        const columns = new Columns(nodes, held, DEFAULT_POLICY);
        const terms = termsOf({ ask: askOf(spec, where), policy: DEFAULT_POLICY, nodes, vmidReserved: [] });
        expect(choose(columns, terms, seed)).toEqual(reference(terms, { nodes, held }, seed));
      }),
      { numRuns: 400 },
    );
  });

  it('does not take one kind of wish for another that differs in one thing', () => {
    const fleets = fc.array(slot, { minLength: 6, maxLength: 12 });
    fc.assert(
      fc.property(fleets, parts, parts, (fleet, one, other) => {
        const nodes = snapshots(fleet.map(toSketch));
        const held = fleet.map(([, promised]) => promised);
        const columns = new Columns(nodes, held, DEFAULT_POLICY);
        const asked = Object.entries(other).map(([key, value]) => wish({ ...one, [key]: value }));
        for (const spec of [wish(one), ...asked]) {
          const ask = askOf(spec, { node: '', excludeNodes: [], vmid: 0 });
          const terms = termsOf({ ask, policy: DEFAULT_POLICY, nodes, vmidReserved: [] });
          expect(choose(columns, terms, 'seed')).toEqual(reference(terms, { nodes, held }, 'seed'));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('gives the same after slots were written anew, whatever was asked before', () => {
    const news = fc.array(fc.tuple(fc.nat({ max: 5 }), slot), { maxLength: 6 });
    const fleets = fc.array(slot, { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(fleets, news, fc.array(fc.record(both), { minLength: 1, maxLength: 4 }), (fleet, changes, asks) => {
        const nodes = snapshots(fleet.map(toSketch));
        const held = fleet.map(([, promised]) => promised);
        const columns = new Columns(nodes, held, DEFAULT_POLICY);
        const check = (): void => {
          for (const { ask: spec, constraints: where, seed } of asks) {
            const terms = termsOf({ ask: askOf(spec, where), policy: DEFAULT_POLICY, nodes, vmidReserved: [] });
            expect(choose(columns, terms, seed)).toEqual(reference(terms, { nodes, held }, seed));
          }
        };
        check();
        for (const [at, change] of changes) {
          const [node] = snapshots([toSketch(change, at)]);
          if (node === undefined) throw new Error('one sketch, one snapshot');
          nodes[at] = node;
          held[at] = change[1];
          columns.setNode(at, node);
          columns.setHeld(at, change[1]);
          check();
        }
      }),
      { numRuns: 100 },
    );
  });
});
