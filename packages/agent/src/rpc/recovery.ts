/** After a crash: which rule ends which kind of operation, and what else a killed agent leaves. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTemporaries } from '@pxmgr/kit/fs/atomic';
import type { Logger } from '@pxmgr/kit/log/logger';
import { changeRecoveries } from '../guest/change/change.ts';
import { cloneRecovery } from '../guest/create/clone.ts';
import { createRecovery } from '../guest/create/undo-create.ts';
import { removeStaleEdits } from '../guest/edit.ts';
import { endLeftExec } from '../guest/exec.ts';
import type { GuestParts } from '../guest/parts.ts';
import { verbRecovery } from '../guest/verb-recovery.ts';
import { readStorages, templateDir } from '../host/storage-cfg.ts';
import { removeStaleArchives } from '../image/archive.ts';
import { type PullParts, tellPulled } from '../image/pull.ts';
import { recoverPull } from '../image/recover-pull.ts';
import type { JournalReplay } from '../operation/journal.ts';
import type { OperationStore } from '../operation/operation-store.ts';
import { endOrphans, NOTHING_TO_UNDO } from '../operation/orphans.ts';
import { recoverAll } from '../operation/recover.ts';
import type { RecoveryRule } from '../operation/settle.ts';

/** The kinds of operation that this agent knows: each can be brought to an end after a crash. */
export function recoveryRules(guests: GuestParts, pull: PullParts): Map<string, RecoveryRule> {
  return new Map<string, RecoveryRule>([
    ['container.create', createRecovery(guests)],
    ['container.clone', cloneRecovery(guests)],
    ...(['start', 'shutdown', 'stop', 'destroy'] as const).map(
      (verb) => [`container.${verb}`, verbRecovery(guests, verb)] as const,
    ),
    ...changeRecoveries(guests),
    [
      'image.pull',
      async ({ operation, effects }, work) => {
        const record = await recoverPull(pull, { operationId: operation.id, effects });
        if (record === undefined) return { outcome: 'undone' };
        work.result('digest', record.document.digest);
        tellPulled(record, work);
        return { outcome: 'resumed' };
      },
    ],
  ]);
}

interface RecoveryParts {
  readonly store: OperationStore;
  readonly rules: ReadonlyMap<string, RecoveryRule>;
  readonly guests: GuestParts;
  readonly pull: PullParts;
  readonly stateDir: string;
  readonly logger: Logger;
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal;
}

/**
 * Before the services listen. It resolves when every interrupted operation holds again what it held; the promise that
 * it gives resolves when they have ended, which takes as long as the node has no quorum, and never rejects.
 */
export async function recover(parts: RecoveryParts): Promise<{ ended: Promise<void> }> {
  const { store, rules, logger } = parts;
  const unfinished = await store.load();
  const operations = unfinished.map((one) => one.operation.id);
  if (operations.length > 0) logger.warn({ operations }, 'ending operations that a crash interrupted');
  await removeOwnLeftovers(parts, unfinished);
  const ended = Promise.all([recoverAll(store, unfinished, rules), removeLeftovers(parts), endExecs(parts)]);
  return { ended: ended.then(() => undefined) };
}

/** Of the agent's own folders. Nothing runs yet: once no skopeo of the dead agent is alive, nothing there is in use. */
async function removeOwnLeftovers(
  { pull, guests, stateDir }: RecoveryParts,
  unfinished: readonly JournalReplay[],
): Promise<void> {
  const pulls = unfinished.filter(({ operation }) => operation.kind === 'image.pull');
  const parts = { clock: guests.clock, patience: NOTHING_TO_UNDO };
  await Promise.all(pulls.map(({ operation }) => endOrphans(operation.id, parts)));
  await rm(pull.cache.scratchDir, { recursive: true, force: true });
  await pull.cache.prepare();
  for (const folder of ['', 'images', 'images/records']) await removeTemporaries(join(stateDir, folder));
}

/** Commands inside guests: whoever asked for them was cut off with the agent, and hears nothing of them any more. */
async function endExecs({ guests, logger, signal }: RecoveryParts): Promise<void> {
  const ends = guests.execs.left().map(async (left) => {
    const { vmid, program, actor } = left;
    logger.warn({ vmid, program, actor }, 'a command in a container was cut off when the agent ended; it is ended too');
    await endLeftExec(guests, left, signal);
  });
  // Aborted: the agent stops, and the next one goes on with it.
  await Promise.allSettled(ends);
}

/** Of storages, which may hang, and of /etc/pve, which may be read-only: nobody waits for that. */
async function removeLeftovers({ guests, store, logger, signal }: RecoveryParts): Promise<void> {
  const { paths, files, cluster, clock } = guests;
  try {
    while (!cluster.quorate()) await clock.sleep(QUORUM_POLL_MS, signal);
    await removeStaleEdits(paths, files.node);
    for (const storage of readStorages(paths)) {
      const folder = storage.type === 'dir' ? templateDir(storage) : undefined;
      if (folder === undefined) continue;
      await paths
        .look(`storage ${storage.id}`, folder, (real) => removeStaleArchives(real, (id) => store.isLive(id)))
        .catch((error: unknown) => {
          logger.warn({ err: error }, 'temporary archives of an earlier agent may be left');
        });
    }
  } catch (error) {
    if (!signal.aborted) logger.warn({ err: error }, 'temporary files of an earlier agent may be left');
  }
}

const QUORUM_POLL_MS = 1_000;
