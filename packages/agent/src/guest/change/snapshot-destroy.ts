import type { DestroySnapshot } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { runJudged } from '../../operation/judge.ts';
import type { Work } from '../../operation/work.ts';
import type { ConfigSection } from '../config-file.ts';
import { unlockCommand } from '../pct-args.ts';
import { requireNoTask } from '../task-wait.ts';
import { type ChangeJob, type ChangeKind, subjectOf } from './kind.ts';
import { deleteSnapshotCommand } from './snapshot-args.ts';
import { requireSnapshot } from './snapshot-find.ts';
import { type SnapshotOnDataset, snapshotsOnDatasets } from './snapshot-volumes.ts';

type Job = ChangeJob<DestroySnapshot>;

export const destroySnapshot: ChangeKind<DestroySnapshot> = {
  title: (vmid, { name }) => `destroy snapshot ${name} of container ${vmid}`,
  check: async (job) => {
    const section = requireSnapshot(job, job.change.name);
    requireRemovable(job, await snapshotsOnDatasets(job, section, job.change.name));
  },
  commands: async (job) => [deleteSnapshotCommand(job.vmid, job.change.name, await needsForce(job))],
  carryOut,
  recover: async (job, work) => {
    const section = sectionOf(job);
    if (section === undefined) return { outcome: 'resumed' };
    // The lock is set before the mark (proxmox/pve-guest-common src/PVE/AbstractConfig.pm snapshot_delete).
    await unlock(job, work);
    if (section.entries.get('snapstate') !== 'delete') return { outcome: 'undone' };
    // Some of its volumes may have lost theirs: it is of no use any more.
    await remove(job, work, true);
    return { outcome: 'resumed' };
  },
};

function sectionOf({ parts, vmid, change }: Job): ConfigSection | undefined {
  return parts.files.config(vmid)?.snapshots.get(change.name);
}

/** A `pct delsnapshot` that fails on a volume leaves the guest locked: what is known to fail is refused before. */
function requireRemovable(job: Job, found: readonly SnapshotOnDataset[]): void {
  const reasons = found.flatMap(({ dataset, holds, clones }) => [
    ...(holds > 0 ? [`${holds} hold(s) on ${dataset}@${job.change.name}`] : []),
    ...(clones.length > 0 ? [`${clones.join(', ')} was cloned from ${dataset}@${job.change.name}`] : []),
  ]);
  if (reasons.length === 0) return;
  throw new PxmError('PXM_SNAPSHOT_IN_USE', {
    ...subjectOf(job),
    snapshot: job.change.name,
    reasons: reasons.join('; '),
  });
}

/** What is left of a half removed snapshot, or of one that lost a volume's part outside of Proxmox. */
async function needsForce(job: Job): Promise<boolean> {
  const section = sectionOf(job);
  if (section === undefined) return false;
  if (section.entries.has('snapstate')) return true;
  return (await snapshotsOnDatasets(job, section, job.change.name)).some(({ isThere }) => !isThere);
}

async function carryOut(job: Job, work: Work): Promise<void> {
  await work.step('delsnapshot', `destroy snapshot ${job.change.name}`, async () => {
    const force = await needsForce(job);
    try {
      await remove(job, work, force);
    } catch (error) {
      await unlock(job, work);
      throw error;
    }
  });
}

async function remove(job: Job, work: Work, force: boolean): Promise<void> {
  const { parts, vmid, change } = job;
  parts.cluster.requireQuorum();
  const context = { ...subjectOf(job), snapshot: change.name };
  await work.effect({ name: 'container.snapshot.destroy', data: { vmid: String(vmid), name: change.name } }, () =>
    runJudged(work, parts.tasks, {
      command: deleteSnapshotCommand(vmid, change.name, force),
      task: { type: 'vzdelsnapshot', vmid },
      context,
      postCondition: () => {
        // A guest that is not here any more still has what it had.
        if (parts.files.config(vmid) === undefined) return 'its configuration is gone';
        return sectionOf(job) === undefined ? undefined : 'the snapshot is still there';
      },
      unmet: (difference) => new PxmError('PXM_VERIFY_FAILED', { ...context, difference }),
    }),
  );
}

/** Takes away the lock that a failed or killed `pct delsnapshot` of this operation left; its check has seen none before. */
async function unlock({ parts, vmid }: Job, work: Work): Promise<void> {
  const isLocked = (): boolean => parts.files.lock(vmid) === 'snapshot-delete';
  if (!isLocked()) return;
  await requireNoTask(parts, vmid);
  if (!isLocked()) return;
  parts.cluster.requireQuorum();
  await work.run(unlockCommand(vmid), { evenIfCancelled: true });
}
