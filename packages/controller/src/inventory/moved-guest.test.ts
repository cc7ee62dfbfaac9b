import type { InventoryDocument } from '@pxmgr/contract/common';
import { NodeDocument } from '@pxmgr/contract/common';
import { beforeEach, describe, expect, it } from 'vitest';
import { ALICE, BOB, containerDocument, createTestInventory, type TestInventory } from './inventory.fixture.ts';

const nodeDocument = (name: string, cluster: string, quorate: boolean): InventoryDocument => ({
  document: { $case: 'node', value: NodeDocument.create({ name, cluster, quorate }) },
});

let test: TestInventory;
const heard = (...uids: readonly string[]): void => {
  for (const uid of uids) test.registry.hear(uid, { generation: 1n, address: '', agentVersion: '' });
};
const shown = (): string[] => {
  const listed = [...test.view.iterate('container')].map(({ id, nodeName }) => `${id} on ${nodeName}`);
  expect(test.view.guests().map(({ vmid, nodeName }) => `${String(vmid)} on ${nodeName}`)).toEqual(listed);
  expect(test.view.guestsByVmid(101)).toHaveLength(listed.length);
  return listed;
};

/** Alpha says that it has the guest, beta says it too. */
function both(alphaQuorate: boolean, part: { betaCluster?: string; betaUid?: string } = {}): void {
  const { betaCluster = 'home', betaUid = 'g-1' } = part;
  test.deliver(
    test.alice.say('node', ALICE, nodeDocument('alpha', 'home', alphaQuorate)),
    test.bob.say('node', BOB, nodeDocument('beta', betaCluster, true)),
    test.alice.say('container', '101', containerDocument(101, { name: 'web', guestUid: 'g-1' })),
    test.bob.say('container', '101', containerDocument(101, { name: 'web', guestUid: betaUid })),
  );
}

beforeEach(() => {
  test = createTestInventory();
  test.registry.attend();
});

describe('a guest that two nodes of a cluster have named', () => {
  it('is shown where it was moved to while its old node is out of reach', () => {
    both(true);
    heard(BOB);
    expect(shown()).toEqual(['101 on beta']);
    expect(test.view.container({ key: 'web' }).nodeName).toBe('beta');
  });

  it('is shown where it was moved to while its old node has no quorum', () => {
    both(false);
    heard(ALICE, BOB);
    expect(shown()).toEqual(['101 on beta']);
  });

  it.each([
    ['both nodes can say what they have', () => both(true), [ALICE, BOB]],
    ['neither can', () => both(true), []],
    ['they are of two clusters', () => both(true, { betaCluster: 'other' }), [BOB]],
    ['it is another guest that has its id by now', () => both(true, { betaUid: 'g-2' }), [BOB]],
  ])('is shown on both when %s', (_when, say, up) => {
    say();
    heard(...up);
    expect(shown()).toEqual(['101 on alpha', '101 on beta']);
  });
});
