import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command } from '@pxmgr/kit/exec/command';
import { runJudged } from '../operation/judge.ts';
import type { Work, WorkRunOptions } from '../operation/work.ts';
import type { GuestParts } from './parts.ts';

export interface Destroying {
  readonly vmid: number;
  /** Where it can have been moved to another node: who it has to be. */
  readonly guestUid?: string;
  /** One of the `pct destroy` commands of pct-args.ts. */
  readonly command: Command;
  readonly run?: WorkRunOptions;
}

/** Runs it; the guest is destroyed when its configuration is gone, whatever the tool says. Errors: PXM_GUEST_MOVED, PXM_VERIFY_FAILED, those of `pct destroy`. */
export async function runDestroy(
  parts: GuestParts,
  { vmid, guestUid, command, run }: Destroying,
  work: Work,
): Promise<void> {
  const context = { vmid: String(vmid), node: parts.files.node };
  await runJudged(work, parts.tasks, {
    command,
    task: { type: 'vzdestroy', vmid },
    context,
    postCondition: () => {
      if (parts.files.text(vmid) !== undefined) return 'its configuration is still there';
      if (guestUid !== undefined) parts.files.requireNotMoved({ vmid, guestUid });
      return undefined;
    },
    unmet: (difference) => new PxmError('PXM_VERIFY_FAILED', { ...context, difference }),
    ...(run === undefined ? {} : { run }),
  });
}
