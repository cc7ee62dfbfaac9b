import type { InventoryKind } from '@pxmgr/contract';
import { describe, expect, it } from 'vitest';
import { ALICE, containerDocument, createTestInventory, storageDocument } from './inventory.fixture.ts';
import type { RepairSources } from './repair.ts';

describe('a hole in the revisions', () => {
  it('that closes by itself within the patience leaves no trace', async () => {
    const test = createTestInventory();
    const { alice } = test;
    const messages = [101, 102, 103, 104].map((vmid) =>
      alice.say('container', String(vmid), containerDocument(vmid), { resync: true }),
    );
    test.deliver(...[0, 3].flatMap((index) => messages[index] ?? []));
    await test.clock.advance(150);
    test.repair.tick();
    test.deliver(...[2, 1].flatMap((index) => messages[index] ?? []));
    await test.clock.advance(1000);
    test.repair.tick();
    await test.settle();
    expect(test.view.objects('container')).toHaveLength(4);
    expect(test.summaries()).toEqual([]);
    expect(test.gaps.position(ALICE)).toEqual({ generation: 1n, revision: 4n });
  });

  it('is filled from the stream, and what is in no stream any more is marked in the history', async () => {
    const stored: ReturnType<typeof test.alice.say>[] = [];
    const test = createTestInventory({ readSubjects: async () => await Promise.resolve(stored) });
    const { alice } = test;
    test.deliver(alice.say('container', '101', containerDocument(101), { resync: true }));
    alice.say('container', '101', containerDocument(101, { status: 'running' }));
    stored.push(alice.say('container', '101', containerDocument(101, { name: 'web' })));
    test.deliver(alice.say('container', '102', containerDocument(102)));
    await test.clock.advance(300);
    test.repair.tick();
    await test.settle();
    expect(test.view.container({ key: 'web' }).id).toBe('101');
    expect(test.summaries()[0]).toMatch(/gap: 1 message\(s\) between revisions 2 and 4/);
  });
});

describe('a manifest', () => {
  it('that agrees asks nobody for anything', async () => {
    const asked: (readonly InventoryKind[])[] = [];
    const test = createTestInventory({
      resync: async (_uid, kinds) => {
        asked.push(kinds);
        await Promise.resolve();
      },
    });
    const { alice } = test;
    test.deliver(
      alice.say('container', '101', containerDocument(101)),
      alice.say('storage', 'local', storageDocument('local')),
    );
    test.repair.takeManifest(ALICE, alice.manifest());
    await test.settle();
    expect(asked).toEqual([]);
  });

  it('that comes before its messages waits for them', async () => {
    const asked: (readonly InventoryKind[])[] = [];
    const test = createTestInventory({
      resync: async (_uid, kinds) => {
        asked.push(kinds);
        await Promise.resolve();
      },
    });
    const { alice } = test;
    const messages = [
      alice.say('container', '101', containerDocument(101)),
      alice.say('container', '102', containerDocument(102)),
    ];
    test.repair.takeManifest(ALICE, alice.manifest());
    test.deliver(...messages);
    await test.settle();
    expect(asked).toEqual([]);
  });

  it('that disagrees has the kind published anew', async () => {
    const asked: (readonly InventoryKind[])[] = [];
    const test = createTestInventory({
      resync: async (_uid, kinds) => {
        asked.push(kinds);
        test.deliver(...alice.republish(kinds));
        await Promise.resolve();
      },
    });
    const { alice } = test;
    test.deliver(
      alice.say('container', '101', containerDocument(101)),
      alice.say('storage', 'local', storageDocument('local')),
    );
    // A loss that the revisions cannot show: the database went back to an older copy.
    test.database.sql.prepare("DELETE FROM object WHERE id = '101'").run();
    test.repair.takeManifest(ALICE, alice.manifest());
    await test.settle();
    expect(asked).toEqual([['container']]);
    expect(test.objects.manifest(ALICE, 'container')).toHaveLength(1);
  });

  it('that still disagrees is settled by the answer of the agent itself', async () => {
    const test = createTestInventory({
      readInventory: async () => {
        const { generation, revision } = alice;
        const document = containerDocument(101);
        return await Promise.resolve({
          generation,
          revision,
          knownKinds: ['container'],
          objects: [
            {
              kind: 'container',
              id: '101',
              nodeUid: ALICE,
              nodeName: 'alpha',
              generation,
              revision: 1n,
              observedAt: undefined,
              hash: 'right',
              document,
            },
          ],
        });
      },
    });
    const { alice } = test;
    test.deliver(
      alice.say('container', '101', containerDocument(101)),
      alice.say('container', '999', containerDocument(999)),
    );
    alice.objects.delete('container 999');
    for (let round = 0; round < 2; round += 1) {
      test.repair.takeManifest(ALICE, alice.manifest());
      await test.settle();
    }
    expect(test.view.objects('container').map((object) => `${object.id} ${object.hash}`)).toEqual(['101 right']);
    expect(test.summaries()[0]).toBe('container 999 deleted: deleted');
  });

  it('whose messages never come is reached by reading the stream, with a gap in the history', async () => {
    const test = createTestInventory();
    const { alice } = test;
    test.deliver(alice.say('container', '101', containerDocument(101)));
    alice.say('container', '101', containerDocument(101, { status: 'running' }));
    test.repair.takeManifest(ALICE, alice.manifest());
    await test.clock.advance(5000);
    test.repair.tick();
    await test.settle();
    expect(test.gaps.position(ALICE)).toEqual({ generation: 1n, revision: 2n });
    expect(test.summaries()[0]).toMatch(/gap: 1 message/);
  });
});

describe('a new generation', () => {
  const BEGAN =
    'node n-aaaaaaaaaaaaaaaa gap: the agent began anew (generation 2); states since its last message before that are unknown';
  const two = async (sources: Partial<RepairSources> = {}) => {
    const test = createTestInventory(sources);
    const { alice } = test;
    test.deliver(
      ...[101, 102].map((vmid) => alice.say('container', String(vmid), containerDocument(vmid), { resync: true })),
    );
    await test.settle();
    return { ...test, ids: () => test.view.objects('container').map((object) => object.id) };
  };

  it('removes what it does not repeat, once its manifest says that it is whole', async () => {
    const test = await two();
    const { alice } = test;
    alice.objects.delete('container 102');
    alice.restart();
    test.deliver(...alice.republish());
    expect(test.ids()).toEqual(['101', '102']);
    test.repair.takeManifest(ALICE, alice.manifest());
    await test.settle();
    expect(test.ids()).toEqual(['101']);
    expect(test.summaries()).toEqual(['container 102 deleted: deleted', BEGAN]);
  });

  it('removes nothing because what it repeated was lost', async () => {
    const asked: (readonly InventoryKind[])[] = [];
    const test = await two({
      resync: async (_uid, kinds) => {
        asked.push(kinds);
        test.deliver(...test.alice.republish(kinds));
        await Promise.resolve();
      },
    });
    const { alice } = test;
    alice.restart();
    alice.republish();
    alice.say('container', '101', containerDocument(101, { status: 'running' }));
    test.repair.takeManifest(ALICE, alice.manifest());
    await test.clock.advance(5000);
    test.repair.tick();
    await test.settle();
    expect(asked).toEqual([['container']]);
    expect(test.ids()).toEqual(['101', '102']);
    expect(test.summaries()).toEqual([
      'container 101 updated: status: stopped -> running',
      'node n-aaaaaaaaaaaaaaaa gap: 3 message(s) between revisions 1 and 3 were not seen; states in between are unknown',
      BEGAN,
    ]);
  });

  it('removes nothing of a kind that it could not read', async () => {
    const test = await two();
    const { alice } = test;
    alice.restart();
    alice.objects.clear();
    alice.knownKinds = ['node', 'storage'];
    test.deliver(alice.say('storage', 'local', storageDocument('local'), { resync: true }));
    test.repair.takeManifest(ALICE, alice.manifest());
    await test.settle();
    expect(test.ids()).toEqual(['101', '102']);
  });

  it('records what changed while the agent was away', async () => {
    const test = await two();
    const { alice } = test;
    alice.restart();
    test.deliver(
      alice.say('container', '101', containerDocument(101, { status: 'running' }), { resync: true }),
      alice.say('container', '103', containerDocument(103), { resync: true }),
    );
    expect(test.summaries()).toEqual([
      'container 103 created: created',
      'container 101 updated: status: stopped -> running',
      BEGAN,
    ]);
  });

  it('does not listen to its predecessor any more', async () => {
    const test = await two();
    const { alice } = test;
    const late = alice.say('container', '103', containerDocument(103));
    alice.objects.delete('container 103');
    alice.restart();
    test.deliver(...alice.republish());
    test.deliver(late);
    expect(test.ids()).toEqual(['101', '102']);
  });
});

describe('a controller that is killed', () => {
  it('still marks the hole that was open', async () => {
    const before = createTestInventory();
    const { alice } = before;
    const [first, , third] = ['a', 'b', 'c'].map((name) =>
      alice.say('container', '101', containerDocument(101, { name })),
    );
    if (first === undefined || third === undefined) throw new Error('three messages were made');
    before.deliver(first, third);
    const after = createTestInventory({}, before.database);
    after.repair.takeManifest(ALICE, alice.manifest());
    await after.clock.advance(5000);
    after.repair.tick();
    await after.settle();
    expect(after.summaries()[0]).toMatch(/gap: .* between revisions 2 and 3 were not seen/);
  });
});
