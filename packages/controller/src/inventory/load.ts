import type { ObjectStore } from '../store/objects.ts';
import type { View } from './view.ts';

/** Fills the view from disk: what was known before the last stop is known at once. */
export function loadView(view: View, objects: ObjectStore): void {
  view.load(objects.all());
}
