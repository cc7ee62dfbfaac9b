import { describe, expect, it } from 'vitest';
import type { NodeSketch } from '../domain/fleet.fixture.ts';
import { GIB, gib, uidOf } from '../domain/fleet.fixture.ts';
import { askOf } from '../domain/placement.ts';
import { type Claim, type Holdings, sumHoldings } from '../domain/reservation.ts';
import { DIGEST, filtersOf, held, type Part, question, snapshots, wish } from './evaluate.fixture.ts';
import { evaluate } from './evaluate.ts';
import { CRITERIA } from './rank.ts';
import { claimOf, resolveSpec } from './resolve.ts';

describe('filters', () => {
  const cases: readonly [string, Partial<NodeSketch>, Part][] = [
    ['presence', { presence: 'suspect' }, {}],
    ['quorum', { document: { quorate: false, cluster: 'home' } }, {}],
    ['capability', { document: { capabilities: ['container.lxc', 'image.pull'] } }, {}],
    ['architecture', { document: { architecture: 'aarch64' } }, {}],
    ['cpu', { cores: 2 }, { cores: 4 }],
    ['memory', { memoryGib: 4 }, { memoryBytes: gib(4) }],
    ['storage', {}, { storage: 'fast' }],
    ['storage', { storages: [{ id: 'local', type: 'dir', content: ['vztmpl'] }] }, {}],
    ['storage_content', {}, { storage: 'local' }],
    ['pool_space', {}, { rootfsBytes: gib(401) }],
    ['image', { storages: [{ id: 'tank', type: 'zfspool', content: ['rootdir'] }] }, {}],
    ['template', {}, { source: { $case: 'template', value: { volumeId: 'local:vztmpl/debian.tar.zst' } } }],
    ['gpu', {}, { gpu: { count: 1 } }],
    ['gpu', { gpus: [{ address: '0000:01:00.0', vendor: 'intel' }] }, { gpu: { vendor: 'amd' } }],
    ['gpu', { gpus: [{ address: '0000:01:00.0', usedBy: [100] }] }, { gpu: { exclusive: true } }],
    ['gpu', { gpus: [{ address: '0000:01:00.0', vramBytes: gib(4) }] }, { gpu: { vramBytes: gib(8) } }],
    ['gpu', { gpus: [{ address: '0000:01:00.0', devicePaths: [] }] }, { gpu: { count: 1 } }],
    ['device', {}, { devices: [{ path: '/dev/serial/by-id/usb-zigbee' }] }],
    [
      'dataset',
      { datasets: [{ name: 'tank/media', mountpoint: '/tank/media', mounted: false }] },
      { mounts: [{ target: '/m', source: { $case: 'dataset', value: 'tank/media' } }] },
    ],
    ['bind_source', {}, { mounts: [{ target: '/m', source: { $case: 'bind', value: '/srv/media' } }] }],
    ['bridge', {}, { networks: [{ name: 'eth0', bridge: 'vmbr9' }] }],
  ];
  it.each(cases)('%s refuses, with what was wanted and found', (filter, sketch, part) => {
    // The second node is there because a fleet of one has no choice of bind sources to be wrong about.
    const verdict = evaluate(
      question(
        snapshots([
          { name: 'pve1', ...sketch },
          { name: 'pve2', presence: 'down' },
        ]),
        wish(part),
      ),
    );
    expect(filtersOf(verdict, 'pve1')).toEqual([filter]);
    const [reason] = verdict.assessed.find((one) => one.node.name === 'pve1')?.fit.reasons ?? [];
    expect(reason?.text).not.toBe('');
    expect(reason?.wanted).not.toBe('');
    expect(reason?.found).not.toBe('');
  });

  it('report all that is wrong with a node, not the first thing', () => {
    const [nodes] = [snapshots([{ name: 'pve1', presence: 'down', memoryGib: 2, bridges: [] }])];
    const verdict = evaluate(
      question(nodes, wish({ memoryBytes: gib(4), networks: [{ name: 'eth0', bridge: 'vmbr0' }], gpu: { count: 1 } })),
    );
    expect(filtersOf(verdict, 'pve1')).toEqual(['presence', 'memory', 'gpu', 'bridge']);
  });

  it('see a vmid within the cluster, not beyond it', () => {
    const guests = [{ vmid: 105, name: 'db' }];
    const nodes = snapshots([
      { name: 'a1', document: { cluster: 'a' }, guests },
      { name: 'a2', document: { cluster: 'a' } },
      { name: 'solo' },
    ]);
    const ask = askOf(wish(), { node: '', excludeNodes: [], vmid: 105 });
    const verdict = evaluate(question(nodes, wish(), { ask }));
    expect([filtersOf(verdict, 'a1'), filtersOf(verdict, 'a2'), filtersOf(verdict, 'solo')]).toEqual([
      ['vmid'],
      ['vmid'],
      [],
    ]);
  });

  it('leave an unknown bind source to the agent of a node that was named', () => {
    const spec = wish({ mounts: [{ target: '/m', source: { $case: 'bind', value: '/srv/media' } }] });
    const ask = askOf(spec, { node: 'pve1', excludeNodes: [], vmid: 0 });
    expect(evaluate(question(snapshots([{ name: 'pve1' }, { name: 'pve2' }]), spec, { ask })).winner?.node.name).toBe(
      'pve1',
    );
  });

  it('find the node whose dataset or storage holds a bind source', () => {
    const spec = wish({ mounts: [{ target: '/m', source: { $case: 'bind', value: '/tank/media/films' } }] });
    const nodes = snapshots([
      { name: 'pve1' },
      { name: 'pve2', datasets: [{ name: 'tank/media', mountpoint: '/tank/media' }] },
    ]);
    expect(evaluate(question(nodes, spec)).winner?.node.name).toBe('pve2');
  });
});

describe('choice', () => {
  it('puts a small ask on the node with most memory left', () => {
    const nodes = snapshots([
      { name: 'pve1', cores: 32, memoryGib: 100 },
      { name: 'pve2', cores: 32, memoryGib: 200 },
      { name: 'pve3', cores: 32, memoryGib: 300 },
    ]);
    expect(evaluate(question(nodes, wish({ cores: 2, memoryBytes: gib(4) }))).winner?.node.name).toBe('pve3');
  });

  it('fills the smaller card first, then the bigger one, then refuses', () => {
    const gpus = [
      { address: '0000:01:00.0', vramBytes: gib(24) },
      { address: '0000:02:00.0', vramBytes: gib(12) },
    ];
    const nodes = snapshots([{ name: 'pve1', gpus }]);
    const spec = wish({ gpu: { count: 1, vramBytes: gib(8) } });
    const claims: Claim[] = [];
    const taken: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const holdings = new Map([[uidOf('pve1'), sumHoldings(claims, [])]]);
      const { winner, terms } = evaluate(question(nodes, spec, { holdings }));
      if (winner === undefined) break;
      claims.push({ ...claimOf(terms, winner), memoryBytes: 0, cpuCores: 0, pools: [] });
      taken.push(winner.fit.gpus[0]?.address ?? '');
    }
    expect(taken).toEqual(['0000:02:00.0', '0000:01:00.0', '0000:01:00.0', '0000:01:00.0']);
  });

  it('counts promised bytes of a pool and takes the other one', () => {
    const storages = [
      { id: 'local', type: 'dir', content: ['vztmpl'] },
      { id: 'fast', type: 'zfspool', content: ['rootdir'], availableBytes: gib(20) },
      { id: 'slow', type: 'dir', content: ['rootdir'], availableBytes: gib(100) },
    ];
    const nodes = snapshots([{ name: 'pve1', storages }]);
    const pick = (holdings?: Map<string, Holdings>): string | undefined =>
      evaluate(question(nodes, wish(), holdings === undefined ? {} : { holdings })).winner?.fit.storage?.id;
    expect(pick()).toBe('fast');
    expect(pick(held('pve1', { pools: [{ storage: 'fast', bytes: 15 * GIB }] }))).toBe('slow');
  });

  it('prefers the node that has the image, all else equal', () => {
    const nodes = snapshots([{ name: 'pve1' }, { name: 'pve2', images: [DIGEST] }]);
    for (const seed of ['a', 'b', 'c', 'd'])
      expect(evaluate(question(nodes, wish(), { seed })).winner?.node.name).toBe('pve2');
  });

  it('spreads equals over the nodes by the seed', () => {
    const nodes = snapshots([{ name: 'pve1' }, { name: 'pve2' }, { name: 'pve3' }]);
    const winners = new Set(
      Array.from({ length: 40 }, (_, i) => evaluate(question(nodes, wish(), { seed: `s${i}` })).winner?.node.name),
    );
    expect(winners.size).toBe(3);
  });

  it('has weights that sum to 1', () => {
    expect(CRITERIA.reduce((sum, criterion) => sum + criterion.weight, 0)).toBeCloseTo(1, 12);
  });
});

describe('resolveSpec', () => {
  it('takes stable device names and gives volumes the chosen storage', () => {
    const gpus = [
      {
        address: '0000:03:00.0',
        devicePaths: ['/dev/dri/by-path/pci-0000:03:00.0-render', '/dev/dri/renderD128', '/dev/kfd'],
      },
    ];
    const spec = wish({
      gpu: { count: 1 },
      mounts: [{ target: '/data', source: { $case: 'volume', value: { sizeBytes: gib(1) } } }],
    });
    const { winner } = evaluate(question(snapshots([{ name: 'pve1', gpus }]), spec));
    if (winner === undefined) throw new Error('it fits');
    const resolved = resolveSpec(spec, winner);
    expect(resolved.devices.map((device) => device.path)).toEqual([
      '/dev/dri/by-path/pci-0000:03:00.0-render',
      '/dev/kfd',
    ]);
    expect(resolved.mounts[0]?.source).toEqual({ $case: 'volume', value: { storage: 'local-zfs', sizeBytes: gib(1) } });
  });
});
