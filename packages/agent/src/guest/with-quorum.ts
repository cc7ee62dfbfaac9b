import type { Work } from '../operation/work.ts';
import type { GuestParts } from './parts.ts';

const POLL_MS = 1_000;

/**
 * Takes back what was begun, when the node may write again. Without quorum `pct destroy` deletes the volumes and keeps the
 * configuration, and a stub with `lock: create` stays after the cluster has healed: so the undo waits, however long it
 * takes, and the operation says why. `body` is repeated when quorum was lost meanwhile: the loss is noticed seconds after
 * it began, and until then it is the write that fails. Errors: those of `body` on a node with quorum.
 */
export async function withQuorum<T>(parts: GuestParts, work: Work, body: () => Promise<T>): Promise<T> {
  for (;;) {
    await waitForQuorum(parts, work);
    try {
      return await body();
    } catch (error) {
      if (parts.cluster.quorate()) throw error;
    }
  }
}

async function waitForQuorum({ cluster, clock }: GuestParts, work: Work): Promise<void> {
  if (cluster.quorate()) return;
  work.warn('the cluster has no quorum on this node: what was begun is taken back when it has one again');
  while (!cluster.quorate()) await clock.sleep(POLL_MS);
}
