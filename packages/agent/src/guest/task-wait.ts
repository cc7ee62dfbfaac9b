/** After a crash Proxmox may still work on a guest, as a task that nobody of us follows: it is waited for. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { GuestParts } from './parts.ts';

const POLL_MS = 250;
const PATIENCE_MS = 180_000;
/** A worker whose pct is gone dies at its next line of output; a long extraction prints none for a while. */
const LONG_PATIENCE_MS = 600_000;

/** Until no task works on the guest any more, or the patience is over. Rejects with the signal's reason. */
export async function waitForTasks(parts: GuestParts, vmid: number, signal: AbortSignal): Promise<void> {
  await haveEnded(parts, vmid, { patienceMs: PATIENCE_MS, signal });
}

/** The same for what may not go on beside a task; without a signal also when its operation is cancelled. PXM_GUEST_LOCKED when one never ends. */
export async function requireNoTask(parts: GuestParts, vmid: number, signal?: AbortSignal): Promise<void> {
  if (await haveEnded(parts, vmid, { patienceMs: LONG_PATIENCE_MS, signal })) return;
  throw new PxmError('PXM_GUEST_LOCKED', { vmid: String(vmid), node: parts.files.node, lock: 'a running task' });
}

async function haveEnded(
  { tasks, clock }: GuestParts,
  vmid: number,
  { patienceMs, signal }: { patienceMs: number; signal: AbortSignal | undefined },
): Promise<boolean> {
  const start = clock.monotonicMs();
  while (await tasks.isAnyLive(vmid)) {
    if (clock.monotonicMs() - start > patienceMs) return false;
    await clock.sleep(POLL_MS, signal);
  }
  return true;
}
