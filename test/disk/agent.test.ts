/** The queue of messages of an agent when there is no room: nothing is torn, the reason is told, and it is whole again with room. */
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Outbox, type OutboxItem } from '../../packages/agent/src/event/outbox.ts';
import { SmallDisk } from './small-disk.ts';

const disk = await SmallDisk.mount(256);
afterAll(async () => {
  await disk?.unmount();
});

describe.skipIf(disk === undefined)('a full disk under an agent', () => {
  it('loses no message: what could not be queued on disk is sent from memory, and the file is whole again later', () => {
    const path = join(disk?.path ?? '', 'outbox');
    const outbox = Outbox.open(path);
    outbox.put([item('a', 100)]);
    expect(outbox.failure).toBeUndefined();
    disk?.fill();
    outbox.put([item('b', 8192)]);
    expect(outbox.failure).toMatchObject({ code: 'PXM_DISK_FULL', fields: { path } });
    expect(outbox.pending().map(({ id }) => id)).toEqual(['a', 'b']);
    disk?.free();
    outbox.put([item('c', 100)]);
    expect(outbox.failure).toBeUndefined();
    expect(
      Outbox.open(path)
        .pending()
        .map(({ id }) => id),
    ).toEqual(['a', 'b', 'c']);
  });
});

function item(id: string, bytes: number): OutboxItem {
  const value = { volumeId: id, fileName: 'z'.repeat(bytes), sizeBytes: 1n, storage: 's' };
  return {
    kind: 'template',
    id,
    document: { document: { $case: 'template', value } },
    hash: 'h',
    observedAt: new Date(1000),
    cause: undefined,
    resync: false,
  };
}
