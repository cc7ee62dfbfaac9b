/** Operations as authors of what changes: noted when they begin and end, with a fresh look at what they may have changed. */
import type { InventoryKind } from '@pxmgr/contract';
import type { Operation } from '@pxmgr/contract/common';
import type { KnownCause } from './causes.ts';
import type { InventoryFeed } from './changes.ts';

const OF_GUESTS: readonly InventoryKind[] = ['storage', 'dataset'];
const OF_IMAGES: readonly InventoryKind[] = ['image', 'template', 'storage'];

export class Authorship {
  readonly #feed: InventoryFeed;
  readonly #actors = new Map<string, string>();

  constructor(feed: InventoryFeed) {
    this.#feed = feed;
  }

  begin(operation: Operation, actor: string): void {
    this.#actors.set(operation.id, actor);
    this.#note(operation, (kind, id, cause) => {
      this.#feed.noteCause(kind, id, cause);
    });
  }

  end(operation: Operation): void {
    this.#note(operation, (kind, id, cause) => {
      this.#feed.noteCauseEnd(kind, id, cause);
    });
    this.#actors.delete(operation.id);
    const isOfImages = operation.kind.startsWith('image.');
    this.#feed.touch(isOfImages ? OF_IMAGES : OF_GUESTS, operation.vmid === 0 ? undefined : operation.vmid);
  }

  #note(operation: Operation, note: (kind: InventoryKind, id: string, cause: KnownCause) => void): void {
    const cause: KnownCause = {
      operationId: operation.id,
      actor: this.#actors.get(operation.id),
      upid: operation.upids.at(-1),
    };
    if (operation.vmid !== 0) note('container', String(operation.vmid), cause);
    const digest = operation.results['digest'];
    if (digest !== undefined) note('image', digest, cause);
    const volume = operation.results['volume_id'];
    if (volume !== undefined) note('template', volume, cause);
  }
}
