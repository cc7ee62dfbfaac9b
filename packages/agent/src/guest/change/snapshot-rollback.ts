import type { RollbackSnapshot } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { beganAt, type JournalReplay } from '../../operation/journal.ts';
import { runJudged } from '../../operation/judge.ts';
import type { Recovery } from '../../operation/settle.ts';
import type { Work } from '../../operation/work.ts';
import { stopContainer } from '../halt.ts';
import { stopCommand, unlockCommand } from '../pct-args.ts';
import { requireNoTask } from '../task-wait.ts';
import { type ChangeJob, type ChangeKind, subjectOf } from './kind.ts';
import { rollbackCommand } from './snapshot-args.ts';
import { requireSnapshot } from './snapshot-find.ts';
import { type SnapshotOnDataset, snapshotsOnDatasets } from './snapshot-volumes.ts';

type Job = ChangeJob<RollbackSnapshot>;

const EFFECT = 'container.snapshot.rollback';
/** From here on only the journal knows that the volumes may be of two states. */
const UNLOCK = 'container.snapshot.rollback.unlock';

export const rollbackSnapshot: ChangeKind<RollbackSnapshot> = {
  title: (vmid, { name }) => `roll container ${vmid} back to snapshot ${name}`,
  check,
  commands: ({ parts, vmid, change }) => [
    ...(parts.runState.isRunning(vmid) ? [stopCommand(vmid)] : []),
    rollbackCommand(vmid, change.name),
  ],
  carryOut,
  recover,
};

async function check(job: Job): Promise<void> {
  const { name } = job.change;
  const section = requireSnapshot(job, name);
  const fields = { ...subjectOf(job), snapshot: name };
  const state = section.entries.get('snapstate');
  if (state !== undefined) throw new PxmError('PXM_SNAPSHOT_INCOMPLETE', { ...fields, reason: `state ${state}` });
  const found = await snapshotsOnDatasets(job, section, name);
  const missing = found.filter(({ isThere }) => !isThere).map(({ dataset }) => `${dataset}@${name} is gone`);
  if (missing.length > 0) throw new PxmError('PXM_SNAPSHOT_INCOMPLETE', { ...fields, reason: missing.join('; ') });
  const blocking = newerOnes(job, found);
  if (blocking.length > 0) throw new PxmError('PXM_SNAPSHOT_NOT_NEWEST', { ...fields, blocking: blocking.join('; ') });
}

/** ZFS goes back to the newest snapshot only; one that somebody else made counts as well. */
function newerOnes({ parts, vmid }: Job, found: readonly SnapshotOnDataset[]): string[] {
  const own = parts.files.config(vmid)?.snapshots;
  const names = new Set(found.flatMap(({ newer }) => newer).filter((name) => own?.has(name) === true));
  const foreign = found.flatMap(({ dataset, newer }) =>
    newer.filter((name) => !names.has(name)).map((name) => `${name} of ${dataset}, which Proxmox does not know`),
  );
  return [...names, ...foreign];
}

async function carryOut(job: Job, work: Work): Promise<void> {
  const { parts, vmid } = job;
  if (parts.runState.isRunning(vmid)) {
    work.warn(`container ${vmid} was running: it is stopped for this`);
    await stopContainer(parts, vmid, work);
  }
  await rollBack(job, work);
}

async function rollBack(job: Job, work: Work): Promise<void> {
  const { parts, vmid, change } = job;
  const fields = { ...subjectOf(job), snapshot: change.name };
  await work.step('rollback', `roll back to snapshot ${change.name}`, async () => {
    // The hook after a stop writes the configuration without its lock: what is changed meanwhile would be lost.
    if (!(await parts.runState.waitDown(vmid, work.signal)))
      throw new PxmError('PXM_SHUTDOWN_TIMEOUT', { ...fields, seconds: '30' });
    await work.effect({ name: EFFECT, data: { vmid: String(vmid), name: change.name } }, () =>
      runJudged(work, parts.tasks, {
        command: rollbackCommand(vmid, change.name),
        task: { type: 'vzrollback', vmid },
        context: fields,
        postCondition: () => differenceOf(job),
        unmet: (difference) => new PxmError('PXM_VERIFY_FAILED', { ...fields, difference }),
        // Half of the volumes of then and half of now are of no use to anybody: it goes on to its end.
        run: { evenIfCancelled: true },
      }).catch((error: unknown) => {
        if (parts.files.lock(vmid) !== 'rollback') throw error;
        const left = `container ${vmid} is locked (rollback), with volumes of two states`;
        throw new PxmError('PXM_UNDO_INCOMPLETE', { operation: work.id, left }, { cause: error });
      }),
    );
  });
}

function differenceOf({ parts, vmid, change }: Job): string | undefined {
  const config = parts.files.config(vmid);
  const section = config?.snapshots.get(change.name);
  if (config === undefined || section === undefined) return 'its configuration is gone';
  const lock = config.entries.get('lock');
  if (lock !== undefined) return `it is still locked (${lock})`;
  if (config.entries.get('parent') !== change.name) return 'its configuration is not that of the snapshot';
  const other = [...section.entries].find(
    ([key, value]) => /^(?:rootfs|mp\d+|net\d+|dev\d+|memory|cores)$/.test(key) && config.entries.get(key) !== value,
  );
  return other === undefined ? undefined : `${other[0]} is not that of the snapshot`;
}

/**
 * The lock says that it had begun: only its end gives a guest of one state. Without it the task's verdict decides; one
 * that died without a verdict may have come to its end, and rolling back once more is right for both. And a guest that
 * was stopped for nothing but the rollback is rolled back, since it cannot be left stopped for no reason.
 */
async function recover(job: Job, work: Work, replay: JournalReplay): Promise<Recovery> {
  const { parts, vmid } = job;
  const done = new Set(replay.effects.map((effect) => effect.name));
  // Whoever holds a lock now, it is not this operation, unless that had begun.
  const isLocked = done.has(EFFECT) && parts.files.lock(vmid) === 'rollback';
  const task = done.has(EFFECT) ? await taskOf(job, replay) : 'none';
  if (!isLocked && task === 'succeeded') return { outcome: 'resumed' };
  if (isLocked || done.has(UNLOCK)) {
    await requireNoTask(parts, vmid, work.signal);
    parts.cluster.requireQuorum();
    if (isLocked)
      await work.effect({ name: UNLOCK, data: { vmid: String(vmid) } }, () =>
        work.run(unlockCommand(vmid), { evenIfCancelled: true }),
      );
    await rollBack(job, work);
    return { outcome: 'resumed' };
  }
  const isOwed = done.has('container.stop') || task === 'died';
  if (!isOwed || parts.runState.isRunning(vmid)) return { outcome: 'undone' };
  await check(job);
  await rollBack(job, work);
  return { outcome: 'resumed' };
}

/** `died`: without a verdict, and nobody has started the guest since. */
async function taskOf(
  { parts: { tasks }, vmid }: Job,
  { operation }: JournalReplay,
): Promise<'none' | 'succeeded' | 'failed' | 'died'> {
  const since = beganAt(operation);
  const { kind } = await tasks.fateSince({ type: 'vzrollback', vmid }, since);
  if (kind !== 'open') return kind;
  return (await tasks.newestSince({ type: 'vzstart', vmid }, since)) === undefined ? 'died' : 'none';
}
