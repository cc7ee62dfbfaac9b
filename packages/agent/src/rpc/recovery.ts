/** After a crash: which rule ends which kind of operation, and what else a killed agent leaves. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTemporaries } from '@pxmgr/kit/fs/atomic';
import type { Logger } from '@pxmgr/kit/log/logger';
import { changeRecoveries } from '../guest/change/change.ts';
import { removeStaleEdits } from '../guest/edit.ts';
import type { GuestParts } from '../guest/parts.ts';
import { createRecovery } from '../guest/undo-create.ts';
import { verbRecovery } from '../guest/verb-recovery.ts';
import { readStorages, templateDir } from '../host/storage-cfg.ts';
import { removeStaleArchives } from '../image/archive.ts';
import type { PullParts } from '../image/pull.ts';
import { recoverPull } from '../image/recover-pull.ts';
import type { OperationStore } from '../operation/operation-store.ts';
import { type RecoveryRule, recoverAll } from '../operation/recover.ts';

/** The kinds of operation that this agent knows: each can be brought to an end after a crash. */
export function recoveryRules(guests: GuestParts, pull: PullParts): Map<string, RecoveryRule> {
  return new Map<string, RecoveryRule>([
    ['container.create', createRecovery(guests)],
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
        work.result('volid', record.document.volumeId);
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
}

/** Before the services listen. */
export async function recover(parts: RecoveryParts): Promise<void> {
  const { store, rules, logger } = parts;
  const unfinished = await store.load();
  const operations = unfinished.map((one) => one.operation.id);
  if (operations.length > 0) logger.warn({ operations }, 'ending operations that a crash interrupted');
  await recoverAll(store, unfinished, rules);
  await removeLeftovers(parts);
}

/** Temporary files that no journal needs any more: nothing runs yet, so none is in use. */
async function removeLeftovers({ guests, pull, stateDir }: RecoveryParts): Promise<void> {
  const { paths, files } = guests;
  await removeStaleEdits(paths, files.node);
  for (const storage of readStorages(paths)) {
    const folder = storage.type === 'dir' ? templateDir(storage) : undefined;
    if (folder !== undefined) await removeStaleArchives(paths.at(folder), () => false);
  }
  await rm(pull.cache.scratchDir, { recursive: true, force: true });
  await pull.cache.prepare();
  for (const folder of ['', 'images', 'images/records']) await removeTemporaries(join(stateDir, folder));
}
