import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparePositions, dedupId, hashDocument, hashManifest } from './events.ts';
import { ContainerDocument, InventoryDocument } from './gen/pxmgr/common/v1/inventory.ts';

describe('positions', () => {
  it('are ordered by generation, then revision', () => {
    expect(comparePositions({ generation: 1n, revision: 9n }, { generation: 2n, revision: 1n })).toBeLessThan(0);
    expect(comparePositions({ generation: 2n, revision: 2n }, { generation: 2n, revision: 1n })).toBeGreaterThan(0);
    expect(comparePositions({ generation: 2n, revision: 1n }, { generation: 2n, revision: 2n })).toBeLessThan(0);
    expect(comparePositions({ generation: 2n, revision: 2n }, { generation: 2n, revision: 2n })).toBe(0);
    expect(comparePositions({ generation: 3n, revision: 2n }, { generation: 2n, revision: 2n })).toBeGreaterThan(0);
  });

  it('make the dedup id', () => {
    expect(dedupId('n-1', { generation: 4n, revision: 17n })).toBe('n-1.4.17');
  });
});

describe('hashes', () => {
  const container = ContainerDocument.fromPartial({ vmid: 100, name: 'web' });

  it('of documents follow their content', () => {
    const one = InventoryDocument.fromPartial({ document: { $case: 'container', value: container } });
    const other = InventoryDocument.fromPartial({
      document: { $case: 'container', value: { ...container, name: 'db' } },
    });
    expect(hashDocument(one)).toMatch(/^[0-9a-f]{16}$/);
    expect(hashDocument(one)).toBe(hashDocument(InventoryDocument.fromPartial(one)));
    expect(hashDocument(one)).not.toBe(hashDocument(other));
  });

  it('of manifests do not depend on the order, but on every entry', () => {
    const entry = fc.record({ id: fc.string(), hash: fc.stringMatching(/^[0-9a-f]{16}$/) });
    fc.assert(
      fc.property(fc.uniqueArray(entry, { minLength: 1, selector: (row) => row.id }), (entries) => {
        expect(hashManifest([...entries].reverse())).toBe(hashManifest(entries));
        expect(hashManifest(entries.slice(1))).not.toBe(hashManifest(entries));
      }),
    );
  });
});
