import { parseSnapshotName } from '@pxmgr/contract';
import type { CreateSnapshot } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { readStorages } from '../../host/storage-cfg.ts';
import { runJudged } from '../../operation/judge.ts';
import type { Recovery } from '../../operation/settle.ts';
import type { Work } from '../../operation/work.ts';
import { thaw } from '../freezer.ts';
import { unlockCommand } from '../pct-args.ts';
import { requireNoTask } from '../task-wait.ts';
import { type ChangeJob, type ChangeKind, requireChangeable, subjectOf } from './kind.ts';
import { deleteSnapshotCommand, snapshotCommand } from './snapshot-args.ts';
import { snapshotBlockers } from './snapshot-volumes.ts';

type Job = ChangeJob<CreateSnapshot>;

export const createSnapshot: ChangeKind<CreateSnapshot> = {
  title: (vmid, { name }) => `create snapshot ${name} of container ${vmid}`,
  check,
  commands: ({ vmid, change }) => [snapshotCommand(vmid, change.name, change.description)],
  carryOut,
  recover: keepOrRemove,
};

function check(job: Job): void {
  const { parts, change } = job;
  const name = parseSnapshotName(change.name);
  if (!name.ok) throw new PxmError('PXM_NAME_INVALID', { what: 'snapshot', name: change.name, reason: name.reason });
  const config = requireChangeable(job);
  const subject = subjectOf(job);
  if (config.entries.get('template') === '1')
    throw new PxmError('PXM_SNAPSHOT_UNSUPPORTED', { ...subject, reasons: 'it is a base guest' });
  if (config.snapshots.has(change.name))
    throw new PxmError('PXM_SNAPSHOT_EXISTS', { ...subject, snapshot: change.name });
  const blockers = snapshotBlockers(config, readStorages(parts.paths));
  if (blockers.length > 0) throw new PxmError('PXM_SNAPSHOT_UNSUPPORTED', { ...subject, reasons: blockers.join('; ') });
}

async function carryOut(job: Job, work: Work): Promise<void> {
  const { parts, vmid, change } = job;
  const context = { ...subjectOf(job), snapshot: change.name };
  await work.step('snapshot', `create snapshot ${change.name}`, async () => {
    try {
      await work.effect({ name: 'container.snapshot.create', data: { vmid: String(vmid), name: change.name } }, () =>
        runJudged(work, parts.tasks, {
          command: snapshotCommand(vmid, change.name, change.description),
          task: { type: 'vzsnapshot', vmid },
          context,
          postCondition: () => differenceOf(job),
          unmet: (difference) => new PxmError('PXM_VERIFY_FAILED', { ...context, difference }),
        }),
      );
    } catch (error) {
      const left = `snapshot ${change.name} of container ${vmid}`;
      const { outcome } = await keepOrRemove(job, work).catch((cause: unknown) => {
        throw new PxmError('PXM_UNDO_INCOMPLETE', { operation: work.id, left }, { cause });
      });
      if (outcome === 'undone') throw error;
    }
  });
}

function differenceOf({ parts, vmid, change }: Job): string | undefined {
  const config = parts.files.config(vmid);
  const section = config?.snapshots.get(change.name);
  if (section === undefined) return `it has no snapshot ${change.name}`;
  const state = section.entries.get('snapstate');
  return state === undefined ? undefined : `snapshot ${change.name} is incomplete (${state})`;
}

/**
 * Takes back what a `pct snapshot` of ours left that did not come to its end: guest frozen, guest locked, snapshot of
 * some volumes. A worker that outlived its pct may have come to it. Our check has seen that no such snapshot and no lock
 * was there before; without the snapshot nothing is ours: a guest that pct found locked may be frozen for the backup that
 * has the lock.
 */
async function keepOrRemove(job: Job, work: Work): Promise<Recovery> {
  const { parts, vmid, change } = job;
  // Somebody else's lock: their task may take hours, and ours has found the guest locked.
  if (!isLockedByOthers(job)) await requireNoTask(parts, vmid);
  const section = parts.files.config(vmid)?.snapshots.get(change.name);
  if (section === undefined) return { outcome: 'undone' };
  if (!section.entries.has('snapstate')) return { outcome: 'resumed' };
  if (thaw(parts.paths, vmid)) work.internal(`let container ${vmid} run on`);
  parts.cluster.requireQuorum();
  const evenIfCancelled = true;
  await work.effect(
    { name: 'container.snapshot.remove', data: { vmid: String(vmid), name: change.name } },
    async () => {
      if (OUR_LOCKS.has(parts.files.lock(vmid) ?? '')) await work.run(unlockCommand(vmid), { evenIfCancelled });
      await runJudged(work, parts.tasks, {
        command: deleteSnapshotCommand(vmid, change.name, true),
        task: { type: 'vzdelsnapshot', vmid },
        context: { ...subjectOf(job), snapshot: change.name },
        postCondition: () => (hasSnapshot(job) ? `snapshot ${change.name} is still there` : undefined),
        unmet: (difference) => new PxmError('PXM_UNDO_INCOMPLETE', { operation: work.id, left: difference }),
        run: { evenIfCancelled },
      });
    },
  );
  return { outcome: 'undone' };
}

/** What `pct snapshot` and our own removal set while they work. */
const OUR_LOCKS: ReadonlySet<string> = new Set(['snapshot', 'snapshot-delete']);

function isLockedByOthers({ parts, vmid }: Job): boolean {
  const lock = parts.files.lock(vmid);
  return lock !== undefined && !OUR_LOCKS.has(lock);
}

function hasSnapshot({ parts, vmid, change }: Job): boolean {
  return parts.files.config(vmid)?.snapshots.has(change.name) === true;
}
