import { hashDocument } from '@pxmgr/contract';
import type { InventoryDocument } from '@pxmgr/contract/common';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Observed } from '../inventory/collector.ts';
import { diffKind } from './differ.ts';

function observed(id: string, sizeBytes: number): Observed {
  const document: InventoryDocument = {
    document: { $case: 'template', value: { volumeId: id, fileName: id, sizeBytes: BigInt(sizeBytes), storage: 's' } },
  };
  return { id, document };
}

const hashes = (objects: readonly Observed[]) =>
  new Map(objects.map((one) => [one.id, { hash: hashDocument(one.document) }]));

describe('diffKind', () => {
  it('finds new, changed and vanished objects and nothing else', () => {
    const before = [observed('same', 1), observed('changed', 1), observed('gone', 1)];
    const now = [observed('new', 1), observed('same', 1), observed('changed', 2)];
    const changes = diffKind('template', hashes(before), now);
    expect(changes.map((change) => [change.id, change.document !== undefined])).toEqual([
      ['new', true],
      ['changed', true],
      ['gone', false],
    ]);
  });

  it('leads from any view to any other, and then finds nothing', () => {
    const objects = fc
      .dictionary(fc.stringMatching(/^[a-d]{1,2}$/), fc.nat({ max: 2 }))
      .map((record) => Object.entries(record).map(([id, size]) => observed(id, size)));
    fc.assert(
      fc.property(objects, objects, (before, now) => {
        const view = hashes(before);
        for (const { id, document, hash } of diffKind('template', view, now)) {
          if (document === undefined) view.delete(id);
          else view.set(id, { hash });
        }
        expect(new Map([...view].sort())).toEqual(new Map([...hashes(now)].sort()));
        expect(diffKind('template', view, now)).toEqual([]);
      }),
    );
  });
});
