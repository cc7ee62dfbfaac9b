import { describe, expect, it } from 'vitest';
import { ALICE, containerDocument, createTestInventory, storageDocument } from './inventory.fixture.ts';

describe('ingest', () => {
  it('makes objects and, from the second state on, history with its author', () => {
    const test = createTestInventory();
    const { alice } = test;
    test.deliver(alice.say('container', '101', containerDocument(101), { resync: true }));
    expect(test.summaries()).toEqual([]);
    test.deliver(
      alice.say('container', '101', containerDocument(101, { status: 'running' }), {
        cause: { upid: 'UPID:pve1:1', user: 'root@pam', operationId: '', actor: '' },
      }),
      alice.say('container', '102', containerDocument(102)),
      alice.gone('container', '101'),
    );
    expect(test.summaries()).toEqual([
      'container 101 deleted: deleted',
      'container 102 created: created',
      'container 101 updated: status: stopped -> running',
    ]);
    expect(test.changes.list({ limit: 3 })[2]).toMatchObject({
      author: 'root@pam',
      upid: 'UPID:pve1:1',
      nodeName: 'alpha',
      objectName: 'ct101',
    });
    expect(test.view.objects('container').map((object) => object.id)).toEqual(['102']);
  });

  it('takes each message once and in the order of its position, whatever the delivery', () => {
    const test = createTestInventory();
    const { alice } = test;
    const first = alice.say('container', '101', containerDocument(101));
    const second = alice.say('container', '101', containerDocument(101, { status: 'running' }));
    const third = alice.gone('container', '101');
    const fourth = alice.say('container', '101', containerDocument(101, { name: 'new' }));
    test.deliver(first, fourth);
    test.deliver(second, third, first, fourth);
    expect(test.summaries()).toEqual(['container 101 updated: name: ct101 -> new', 'container 101 created: created']);
    expect(test.view.guestsByVmid(101)).toMatchObject([{ name: 'new', nodeName: 'alpha' }]);
  });

  it('does not let a late message raise the dead', () => {
    const test = createTestInventory();
    const { alice } = test;
    const first = alice.say('container', '101', containerDocument(101));
    test.deliver(first, alice.gone('container', '101'));
    test.deliver(first);
    expect(test.view.objects('container')).toEqual([]);
  });

  it('parks what cannot be read and goes on', () => {
    const test = createTestInventory();
    const { alice } = test;
    const good = alice.say('container', '102', containerDocument(102));
    const lying = { ...alice.say('container', '103', containerDocument(103)), subject: good.subject };
    test.deliver(
      { subject: good.subject, sequence: 1, data: new Uint8Array([255, 255, 255]) },
      lying,
      { ...good, subject: 'px.inv.x' },
      good,
    );
    expect(test.cursors.parkedCount()).toBe(3);
    expect(test.view.objects('container').map((object) => object.id)).toEqual(['102']);
  });

  it('ignores nodes that are not in the fleet', () => {
    const test = createTestInventory();
    test.registry.revoke(ALICE);
    test.deliver(test.alice.say('container', '101', containerDocument(101)));
    expect(test.objects.get({ nodeUid: ALICE, kind: 'container', id: '101' })).toBeUndefined();
    expect(test.ingest.strangers).toBe(1);
  });

  it('stores objects, history and position together or not at all', () => {
    const test = createTestInventory();
    const { alice } = test;
    const messages = [
      alice.say('container', '101', containerDocument(101)),
      alice.say('container', '102', containerDocument(102)),
    ];
    test.database.sql.exec("CREATE TRIGGER stop BEFORE INSERT ON cursor BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    expect(() => test.deliver(...messages)).toThrow('disk full');
    expect(test.view.objects('container')).toEqual([]);
    expect(test.changes.count()).toBe(0);
    test.database.sql.exec('DROP TRIGGER stop');
    test.deliver(...messages);
    expect(test.view.objects('container')).toHaveLength(2);
    expect(test.ingest.position()?.streamCreated).toBe('today');
  });

  it('knows everything again after a restart', () => {
    const before = createTestInventory();
    before.deliver(
      before.alice.say('container', '101', containerDocument(101, { status: 'running' })),
      before.bob.say('storage', 'local', storageDocument('local')),
    );
    const after = createTestInventory({}, before.database);
    expect(after.view.objects('container')).toEqual(before.view.objects('container'));
    expect(after.view.objects('storage')).toEqual(before.view.objects('storage'));
    expect(after.view.counts().get('container')).toBe(1);
  });

  it('shows watchers what was committed, in order', () => {
    const test = createTestInventory();
    const { alice } = test;
    const seen: string[] = [];
    const stop = test.view.watch((event) => seen.push(`${event.action} ${event.object.id}`));
    test.deliver(
      alice.say('container', '101', containerDocument(101)),
      alice.say('container', '101', containerDocument(101, { status: 'running' })),
    );
    test.deliver(alice.gone('container', '101'));
    stop();
    test.deliver(alice.say('container', '102', containerDocument(102)));
    expect(seen).toEqual(['created 101', 'updated 101', 'deleted 101']);
  });
});
