/** Making a container as a copy of another one. Every effect is journalled; a failure undoes what was made, and frees the source. */
import type { HostCommand } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import { toHostCommand } from '@pxmgr/kit/exec/command';
import { runJudged } from '../../operation/judge.ts';
import type { RecoveryRule } from '../../operation/settle.ts';
import { internalCommand, type Work } from '../../operation/work.ts';
import { type GuestConfig, guestUidOf } from '../config-file.ts';
import { dropDevices } from '../device-lines.ts';
import { mountEntries } from '../mount-entries.ts';
import type { GuestParts } from '../parts.ts';
import { unlockCommand } from '../pct-args.ts';
import { parsePropertyString } from '../property-string.ts';
import { requireNoTask } from '../task-wait.ts';
import { type ClonePlan, type CloneRequest, prepareClone } from './clone-plan.ts';
import { type HalfMade, journalData, unfinished } from './half-made.ts';
import { markMade, verifyFailed } from './mark-made.ts';
import { createRecovery, undoCreate } from './undo-create.ts';

/** The commands that the clone would run, after all its checks. Errors: those of `prepareClone`. */
export async function previewClone(parts: GuestParts, request: CloneRequest): Promise<HostCommand[]> {
  const run = (command: Parameters<GuestParts['runner']['run']>[0]) => parts.runner.run(command);
  const { command } = await prepareClone(parts, request, { run, operationTag: 'op-preview' });
  return [toHostCommand(command), internalCommand(editPurpose(parts, request.vmid))];
}

/** Makes it, stopped. Errors: those of `prepareClone`, of `pct clone`, PXM_VERIFY_FAILED, PXM_UNDO_INCOMPLETE. */
export async function cloneContainer(parts: GuestParts, request: CloneRequest, work: Work): Promise<void> {
  const { vmid, guestUid, source } = request;
  const plan = await work.step('preflight', 'check the source, the id and the storages', () =>
    prepareClone(parts, request, { run: (command) => work.run(command, { stdoutAs: 'none' }), operationTag: work.id }),
  );
  for (const warning of plan.warnings) work.warn(warning);
  const made: HalfMade = { vmid, guestUid, operationTag: work.id, storages: plan.storages };
  try {
    await work.step('clone', `clone container ${source.vmid}`, async () => {
      await runClone(parts, { request, plan, made }, work);
      // Before the edit: recovery takes a guest that was edited for whole.
      const difference = compareMade(parts.files.config(vmid), { request, plan });
      if (difference !== undefined) throw verifyFailed(parts, vmid, difference);
      if (isLocked(parts, source.vmid)) await freeSource(parts, source.vmid, work);
    });
    await work.step('configure', 'set its identity', () => configure(parts, { plan, made }, work));
  } catch (error) {
    await undoAfter(parts, { made, error, source: source.vmid }, work);
    throw error;
  }
  work.result('vmid', String(vmid));
  work.result('guest_uid', guestUid);
}

interface Cloning {
  readonly request: CloneRequest;
  readonly plan: ClonePlan;
  readonly made: HalfMade;
}

async function runClone(parts: GuestParts, { request, plan, made }: Cloning, work: Work): Promise<void> {
  const { vmid, source } = request;
  const data = { ...journalData(made), source: String(source.vmid) };
  await work.effect({ name: 'container.clone', data }, () =>
    runJudged(work, parts.tasks, {
      command: plan.command,
      // The task is one of the source.
      task: { type: 'vzclone', vmid: source.vmid },
      context: {
        vmid: String(source.vmid),
        node: parts.files.node,
        storage: made.storages[0] ?? '',
        operation: work.id,
      },
      postCondition: (result) => unfinished(parts.files.config(vmid), made, result),
      unmet: (difference) => verifyFailed(parts, vmid, difference),
    }),
  );
}

function editPurpose(parts: GuestParts, vmid: number): string {
  return `set pxmgr's mark in ${parts.files.path(vmid)}, and take the devices of the source out of it`;
}

async function configure(parts: GuestParts, { plan, made }: Pick<Cloning, 'plan' | 'made'>, work: Work): Promise<void> {
  const sourceUid = guestUidOf(plan.section);
  const origin = sourceUid === undefined ? undefined : parts.records.originOf(sourceUid);
  // Before the edit makes it a whole guest: after it a crash is no reason to forget what it was made of.
  if (origin !== undefined) await parts.records.put(made.guestUid, origin);
  work.internal(editPurpose(parts, made.vmid));
  const change = (config: GuestConfig): void => {
    config.description = plan.description;
    dropDevices(config);
  };
  await markMade(parts, { made, tags: plan.tags, change }, work);
}

/** What differs from a clone as ordered; undefined when nothing does. A task that ended OK proves none of this. */
function compareMade(
  found: GuestConfig | undefined,
  { request, plan }: Pick<Cloning, 'request' | 'plan'>,
): string | undefined {
  if (found === undefined) return 'its configuration is gone';
  if (found.entries.get('hostname') !== request.name) return `its name is "${found.entries.get('hostname') ?? ''}"`;
  return compareVolumes(found, { request, plan }) ?? compareMacs(found, plan);
}

/** A clone that shared a volume with its source would lose it with the source, or the source with it. */
function compareVolumes(found: GuestConfig, { request, plan }: Pick<Cloning, 'request' | 'plan'>): string | undefined {
  const own = new Map(mountEntries(found).map(({ key, source }) => [key, source]));
  for (const { key, source } of mountEntries(plan.section)) {
    const volume = own.get(key);
    if (volume === undefined) return `volume ${key} is missing`;
    if (volume === source) return `${key} is the volume of container ${request.source.vmid}`;
    if (!request.full && !volume.includes('/')) return `${key} (${volume}) is no linked clone`;
  }
  return undefined;
}

function compareMacs(found: GuestConfig, { section }: ClonePlan): string | undefined {
  const macOf = (value: string | undefined): string => parsePropertyString(value ?? '').get('hwaddr') ?? '';
  const same = [...section.entries].find(
    ([key, value]) => /^net\d+$/.test(key) && macOf(value) !== '' && macOf(found.entries.get(key)) === macOf(value),
  );
  return same === undefined ? undefined : `${same[0]} has the MAC of the source`;
}

async function undoAfter(
  parts: GuestParts,
  { made, error, source }: { made: HalfMade; error: unknown; source: number },
  work: Work,
): Promise<void> {
  if (toPxmError(error).code === 'PXM_VMID_TAKEN') return;
  work.log('note', 'undoing what was made');
  await freeSource(parts, source, work);
  await undoCreate(parts, made, work);
}

/**
 * A killed `pct clone` leaves `lock: disk` on its source (proxmox/pve-container src/PVE/API2/LXC.pm clone_vm). Ours had
 * found none, and whoever else may hold one works on the guest as a task.
 */
async function freeSource(parts: GuestParts, source: number, work: Work): Promise<void> {
  try {
    // Somebody else's lock: their task may take hours, and ours has found the source locked.
    if ([undefined, 'disk'].includes(parts.files.lock(source))) await requireNoTask(parts, source);
    if (!isLocked(parts, source)) return;
    parts.cluster.requireQuorum();
    await work.effect({ name: 'container.clone.unlock', data: { vmid: String(source) } }, async () => {
      await work.run(unlockCommand(source), { evenIfCancelled: true });
      if (!isLocked(parts, source)) return;
      throw new PxmError('PXM_GUEST_LOCKED', { vmid: String(source), node: parts.files.node, lock: 'disk' });
    });
  } catch (error) {
    const left = `the lock of container ${source}`;
    throw new PxmError('PXM_UNDO_INCOMPLETE', { operation: work.id, left }, { cause: toPxmError(error) });
  }
}

function isLocked({ files }: GuestParts, source: number): boolean {
  return files.lock(source) === 'disk';
}

/** A clone that the agent did not live to end: whole when its last effect is known to be done, else gone; its source is free. */
export function cloneRecovery(parts: GuestParts): RecoveryRule {
  const recoverGuest = createRecovery(parts, 'container.clone');
  return async (replay, work) => {
    const data = replay.effects.find((effect) => effect.name === 'container.clone')?.data;
    if (data === undefined) return { outcome: 'undone' };
    await freeSource(parts, Number(data['source']), work);
    return await recoverGuest(replay, work);
  };
}
