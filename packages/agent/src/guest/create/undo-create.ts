import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import { readVmlist } from '../../host/vmlist.ts';
import type { Recovery, RecoveryRule } from '../../operation/settle.ts';
import type { Work } from '../../operation/work.ts';
import type { GuestParts } from '../parts.ts';
import { undoCreateCommand, unlockCommand } from '../pct-args.ts';
import { runDestroy } from '../run-destroy.ts';
import { requireNoTask } from '../task-wait.ts';
import { fromJournal, type HalfMade, identify } from './half-made.ts';
import { endLeftVolumes, freeVolume, listVolumes } from './left-volumes.ts';

/**
 * Removes what a create has made, and nothing else: the guest if it is ours, leftovers of its mount, and volumes of
 * its id (there were none before: the preflight refuses an id that has any). Repeatable. Errors: PXM_UNDO_INCOMPLETE,
 * caused by PXM_NO_QUORUM where the node may not write.
 */
export async function undoCreate(parts: GuestParts, made: HalfMade, work: Work): Promise<void> {
  try {
    await requireNoTask(parts, made.vmid);
    await parts.records.forget(made.guestUid);
    await removeWhatIsOurs(parts, made, work);
  } catch (error) {
    const cause = toPxmError(error);
    throw new PxmError(
      'PXM_UNDO_INCOMPLETE',
      { operation: work.id, left: `container ${made.vmid} or its volumes` },
      { cause },
    );
  }
}

async function removeWhatIsOurs(parts: GuestParts, made: HalfMade, work: Work): Promise<void> {
  const found = identify(parts.files.config(made.vmid), made);
  if (found === 'absent') parts.files.requireNotMoved(made);
  // Somebody else has the id by now, here or on another node: its volumes are not ours to free, ours may be beside them.
  if (found === 'foreign' || (found === 'absent' && readVmlist(parts.paths).guests.has(made.vmid))) {
    await endLeftVolumes(parts, made, work);
    return;
  }
  if (found !== 'absent') {
    await work.effect({ name: 'container.undo', data: { vmid: String(made.vmid) } }, () =>
      remove(parts, made.vmid, work),
    );
  }
  await freeVolumes(parts, made, work);
}

/** A guest whose making the agent did not live to end: whole when the last effect is known to be done, else gone. */
export function createRecovery(
  parts: GuestParts,
  making: 'container.create' | 'container.clone' = 'container.create',
): RecoveryRule {
  return async (replay, work): Promise<Recovery> => {
    const made = fromJournal(replay, making);
    if (made === undefined) return { outcome: 'undone' };
    const isOurs = identify(parts.files.config(made.vmid), made) === 'ours' || parts.files.movedTo(made) !== undefined;
    const effects = replay.effects.map((effect) => `${effect.name}:${effect.outcome ?? 'open'}`);
    const wantsFinish = (replay.params as { finish?: boolean } | undefined)?.finish === true;
    const isWhole =
      effects.includes('container.edit:done') && (!wantsFinish || effects.includes('container.finish:done'));
    if (isOurs && isWhole && !effects.some((effect) => effect.startsWith('container.undo'))) {
      work.result('vmid', String(made.vmid));
      work.result('guest_uid', made.guestUid);
      if (made.digest !== '') work.result('digest', made.digest);
      return { outcome: 'resumed' };
    }
    await undoCreate(parts, made, work);
    return { outcome: 'undone' };
  };
}

async function remove(parts: GuestParts, vmid: number, work: Work): Promise<void> {
  parts.cluster.requireQuorum();
  const mount = `/var/lib/lxc/${vmid}/rootfs`;
  const detached = { evenIfCancelled: true } as const;
  if ((parts.paths.readIfThere('/proc/self/mountinfo') ?? '').includes(` ${parts.paths.at(mount)} `)) {
    const args = ['--recursive', '--lazy', parts.paths.at(mount)];
    await work.run(
      { file: 'umount', args, purpose: `unmount what the killed create left at ${mount}`, timeoutMs: 30_000 },
      detached,
    );
  }
  const config = parts.files.config(vmid);
  if (config?.entries.has('lock') === true) await work.run(unlockCommand(vmid), detached);
  if (config?.entries.get('protection') === '1') {
    const args = ['set', String(vmid), '--protection', '0'];
    await work.run({ file: 'pct', args, purpose: `unprotect container ${vmid}`, timeoutMs: 30_000 }, detached);
  }
  await runDestroy(parts, { vmid, command: undoCreateCommand(vmid), run: detached }, work);
}

/**
 * The list is read before the look at who has the id: a guest that somebody makes meanwhile has its configuration
 * before its volumes, so that none of those is ever in a list that is acted on.
 */
async function freeVolumes(parts: GuestParts, made: HalfMade, work: Work): Promise<void> {
  const { vmid } = made;
  for (const storage of made.storages) {
    for (const volumeId of await listVolumes(parts, { storage, vmid }, work)) {
      if (parts.files.text(vmid) !== undefined || readVmlist(parts.paths).guests.has(vmid)) {
        await endLeftVolumes(parts, made, work);
        return;
      }
      await freeVolume(parts, { storage, vmid, volumeId }, work);
    }
  }
}
