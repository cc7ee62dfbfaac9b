import { describe, expect, it } from 'vitest';
import { findObject } from './find.ts';
import { ALICE, containerDocument, createTestInventory, storageDocument } from './inventory.fixture.ts';
import { compareIds } from './view.ts';

describe('the view', () => {
  it('finds a container by vmid and by name', () => {
    const test = createTestInventory();
    test.deliver(test.alice.say('container', '101', containerDocument(101, { name: 'web' })));
    expect(test.view.container({ key: '101' })).toMatchObject({ id: '101', nodeName: 'alpha' });
    expect(test.view.container({ key: 'web', node: 'alpha' }).id).toBe('101');
  });

  it('refuses what is not there, with the words a person needs', () => {
    const test = createTestInventory();
    expect(() => test.view.container({ key: 'web' })).toThrow(expect.objectContaining({ code: 'PXM_GUEST_NOT_FOUND' }));
    expect(() => test.view.container({ key: '101', node: 'nowhere' })).toThrow(
      expect.objectContaining({ code: 'PXM_NODE_NOT_FOUND' }),
    );
    expect(() => findObject(test.view, { kind: 'storage', key: 'x' })).toThrow(
      expect.objectContaining({ code: 'PXM_OBJECT_NOT_FOUND' }),
    );
  });

  it('does not choose between two guests of one name', () => {
    const test = createTestInventory();
    test.deliver(
      test.alice.say('container', '101', containerDocument(101, { name: 'web' })),
      test.bob.say('container', '101', containerDocument(101, { name: 'web' })),
    );
    expect(() => test.view.container({ key: 'web' })).toThrow(/names 2 guests: 101 on alpha, 101 on beta/);
    expect(test.view.container({ key: 'web', node: 'beta' }).nodeName).toBe('beta');
    expect(test.view.guestsByVmid(101)).toHaveLength(2);
  });

  it('pages through a kind without missing or repeating', () => {
    const test = createTestInventory();
    const vmids = [9, 10, 100, 101, 1000].map((n) => n + 100);
    test.deliver(
      ...vmids.map((vmid) => test.alice.say('container', String(vmid), containerDocument(vmid))),
      test.bob.say('container', '105', containerDocument(105)),
    );
    const all = [...test.view.iterate('container')].map((object) => `${object.nodeName} ${object.id}`);
    expect(all).toEqual(['alpha 109', 'alpha 110', 'alpha 200', 'alpha 201', 'alpha 1100', 'beta 105']);
    const rest = [...test.view.iterate('container', undefined, { nodeName: 'alpha', id: '201' })].map(
      (object) => `${object.nodeName} ${object.id}`,
    );
    expect(rest).toEqual(['alpha 1100', 'beta 105']);
  });

  it('tells what was last known of an object that is gone, and shows the newest state of one that is there', () => {
    const test = createTestInventory();
    test.deliver(test.alice.say('container', '101', containerDocument(101, { name: 'web', osType: 'debian' })));
    const seen: unknown[] = [];
    test.view.watch(({ action, object }) => seen.push([action, object.revision, object.document]));
    const alpine = containerDocument(101, { name: 'web', osType: 'alpine' });
    test.deliver(test.alice.say('container', '101', alpine));
    expect(test.view.object(ALICE, 'container', '101')).toMatchObject({ revision: 2n, document: alpine });
    test.deliver(test.alice.gone('container', '101'));
    expect(test.view.object(ALICE, 'container', '101')).toBeUndefined();
    expect(seen).toEqual([
      ['updated', 2n, alpine],
      ['deleted', 2n, alpine],
    ]);
  });

  it('has of a node what decisions need, in a fixed order, as after a start', () => {
    const test = createTestInventory();
    test.deliver(
      test.alice.say('container', '1000', containerDocument(1000)),
      test.alice.say('storage', 'local', storageDocument('local')),
      test.alice.say('storage', 'big', storageDocument('big')),
      test.alice.say('container', '101', containerDocument(101, { imageDigest: 'sha256:1' })),
    );
    const contents = test.view.contents(ALICE);
    expect(contents.guests.map(({ vmid, imageDigest }) => [vmid, imageDigest])).toEqual([
      [101, 'sha256:1'],
      [1000, ''],
    ]);
    expect(contents.documents).toEqual([storageDocument('big'), storageDocument('local')]);
    expect(createTestInventory({}, test.database).view.contents(ALICE)).toEqual(contents);
  });

  it('forgets a node that left, and tells it', () => {
    const test = createTestInventory();
    test.deliver(
      test.alice.say('container', '101', containerDocument(101)),
      test.alice.say('storage', 'local', storageDocument('local')),
    );
    const seen: string[] = [];
    test.view.watch((event) => seen.push(`${event.action} ${event.object.kind}`));
    test.view.forget(ALICE);
    expect(seen).toEqual(['deleted container', 'deleted storage']);
    expect(test.view.guestsByVmid(101)).toEqual([]);
    expect(test.view.counts().get('container')).toBe(0);
  });
});

describe('compareIds', () => {
  it('orders numbers by value and is total over mixed ids', () => {
    expect(['20', '2x', '100', '3', 'a', 'B'].sort(compareIds)).toEqual(['3', '20', '100', '2x', 'B', 'a']);
  });
});
