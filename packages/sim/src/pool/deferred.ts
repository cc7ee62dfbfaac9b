/** Snapshots marked by `destroy -d`: they go when nothing holds them any more. */
import { rmSync } from 'node:fs';
import type { Host } from '../host/host.ts';
import { clonesOf, findSnapshot, type PoolState, snapshotDirectory } from './state.ts';

export function destroyIfDeferred(host: Host, state: PoolState, name: string): void {
  const found = findSnapshot(state, name);
  if (found === undefined || found.snapshot.isDeferred !== true) return;
  if (found.snapshot.holds.length > 0 || clonesOf(state, name).length > 0) return;
  found.dataset.snapshots = found.dataset.snapshots.filter((snapshot) => snapshot !== found.snapshot);
  rmSync(snapshotDirectory(host, found.snapshot), { recursive: true, force: true });
}
