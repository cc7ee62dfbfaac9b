import type { ObjectStore } from '../store/objects.ts';
import type { View } from './view.ts';
import type { EntrySource } from './view-entry.ts';

/** Fills the view from disk: what was known before the last stop is known at once. */
export function loadView(view: View, objects: ObjectStore): void {
  view.load(sources(objects));
}

function* sources(objects: ObjectStore): IterableIterator<EntrySource> {
  for (const stored of objects.all()) {
    if (stored.document === undefined) continue;
    const { nodeUid, kind, id, hash, observedAt, position } = stored;
    yield { nodeUid, kind, id, hash, observedAt, position, bytes: stored.document };
  }
}
