import { formatDuration } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import { throwIfAborted } from '@pxmgr/kit/sync/abort';
import type { Cluster } from '../host/cluster.ts';
import type { JournalReplay } from './journal.ts';
import type { Work } from './work.ts';

/** How an operation that could not go on came to its end. */
export type Recovery =
  /** Its work is done (it was, or recovery finished it). `error`: and has failed all the same, as it would have undisturbed. */
  | { readonly outcome: 'resumed'; readonly error?: PxmError }
  /** What it had made is gone; the caller may order it again. */
  | { readonly outcome: 'undone'; readonly error?: PxmError };

/** Finishes or undoes one interrupted operation of a kind. Must be repeatable: the agent may die in it too. */
export type RecoveryRule = (replay: JournalReplay, work: Work) => Promise<Recovery>;

/**
 * How an operation that cannot go on comes to its end: by the rule of its kind, after a crash of the agent, and after
 * its node lost the cluster in the middle of it. Without quorum /etc/pve is read-only; `pct destroy` deletes the volumes
 * and keeps the configuration, and a stub with `lock: create` stays after the cluster has healed. So a rule that has to
 * change something refuses with PXM_NO_QUORUM first, and is applied anew when the node has quorum, however long that takes.
 */
export interface Settling {
  readonly cluster: Pick<Cluster, 'quorate' | 'nodeName'>;
  readonly clock: Clock;
  /** "create container 101 (web)" */
  readonly title: string;
  readonly work: Work;
  /** What is in the journal by now: a rule that was at work before has left its effects there. */
  readonly read: () => Promise<JournalReplay>;
  readonly apply: (replay: JournalReplay) => Promise<Recovery>;
  /** Called when it begins to wait. */
  readonly onWait: () => void;
}

const POLL_MS = 1_000;
/** Failures one after the other that look like a lost quorum on a node that has it. */
const DOUBTS_MAX = 3;

/** Errors: those of the rule on a node with quorum; the reason of the work's signal. */
export async function settle(settling: Settling): Promise<Recovery> {
  const { cluster, work } = settling;
  for (let doubts = 0, isTold = false; ; ) {
    const replay = await settling.read();
    try {
      return await settling.apply(replay);
    } catch (error) {
      throwIfAborted(work.signal);
      // It may be back already: then only what failed tells that it was gone.
      if (cluster.quorate() && (causeWithoutQuorum(error) === undefined || ++doubts > DOUBTS_MAX)) throw error;
      isTold = await waitForQuorum(settling, isTold);
    }
  }
}

/** Gives whether people have been told by now: once is enough, however often the network comes and goes. */
async function waitForQuorum({ cluster, clock, work, title, onWait }: Settling, wasTold: boolean): Promise<boolean> {
  const node = cluster.nodeName();
  const start = clock.monotonicMs();
  const isCutOff = !cluster.quorate();
  if (isCutOff) onWait();
  if (isCutOff && !wasTold)
    work.warn(
      `${node} has no quorum, it is cut off from its cluster: "${title}" stands still, and what it began there is finished or taken back as soon as ${node} has quorum again`,
    );
  do await clock.sleep(POLL_MS, work.signal);
  while (!cluster.quorate());
  work.log('note', `${node} has quorum again after ${formatDuration(clock.monotonicMs() - start)}: going on`);
  return wasTold || isCutOff;
}

/** The failure says that the node could not write to the cluster; undefined when it does not. */
export function causeWithoutQuorum(error: unknown): PxmError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (isPxmError(at, 'PXM_NO_QUORUM')) return at;
  return undefined;
}

/** What the stop of the agent cut short was cancelled by nobody, whatever the command that it ended says. */
export function cutShort(halt: AbortSignal, error: unknown): unknown {
  if (!halt.aborted || !isPxmError(error, 'PXM_CANCELLED')) return error;
  return new PxmError('PXM_SHUTTING_DOWN', { program: 'pxmgr-agent' }, { cause: error });
}

/** What ended the operation for who ordered it, whatever the tools said. */
export function lostQuorum(node: string, error: unknown): PxmError {
  return causeWithoutQuorum(error) ?? new PxmError('PXM_NO_QUORUM', { node }, { cause: error });
}
