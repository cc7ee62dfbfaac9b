import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ObjectStore } from '../store/objects.ts';
import type { View } from './view.ts';

/**
 * Fills the view from disk: what was known before the last stop is known at once. Node by node, so that a large fleet
 * leaves turns to whatever else starts.
 */
export async function loadView(view: View, objects: ObjectStore, nodeUids: readonly string[]): Promise<void> {
  for (const uid of nodeUids) {
    view.load(objects.ofNode(uid));
    await nextTurn();
  }
}
