/**
 * guest/change/: everything that is changed about a container which exists, beside starting and ending it. One file per
 * kind; this one is the table of kinds, and turns an order into the body, the preview and the recovery of an operation.
 */
import { CHANGE_KINDS, type ChangeCase, type ChangeValue } from '@pxmgr/contract';
import { ContainerChange, type HostCommand } from '@pxmgr/contract/common';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import { toHostCommand } from '@pxmgr/kit/exec/command';
import type { RecoveryRule } from '../../operation/settle.ts';
import type { Work } from '../../operation/work.ts';
import { guestUidOf } from '../config-file.ts';
import type { GuestParts } from '../parts.ts';
import { waitForTasks } from '../task-wait.ts';
import { attachDevices } from './device-attach.ts';
import { detachDevices } from './device-detach.ts';
import type { ChangeJob, ChangeKind } from './kind.ts';
import { setOptions } from './option-set.ts';
import { createSnapshot } from './snapshot-create.ts';
import { destroySnapshot } from './snapshot-destroy.ts';
import { rollbackSnapshot } from './snapshot-rollback.ts';

const KINDS: { readonly [Case in ChangeCase]: ChangeKind<ChangeValue<Case>> } = {
  createSnapshot,
  rollbackSnapshot,
  destroySnapshot,
  attachDevices,
  detachDevices,
  setOptions,
};

export interface ChangeRequest {
  readonly vmid: number;
  readonly guestUid: string;
  readonly change: ContainerChange | undefined;
}

/** What is stored with the journal. */
interface StoredChange {
  readonly vmid: number;
  readonly guestUid: string;
  readonly change: unknown;
}

/** An order with its kind, ready to be looked at, shown, done. */
export interface BoundChange {
  /** "container.snapshot.create" */
  readonly kind: string;
  readonly title: string;
  /** For the journal; holds no secret. */
  readonly params: StoredChange;
  check(): Promise<void> | void;
  /** The commands, after the checks. */
  preview(): Promise<HostCommand[]>;
  carryOut(work: Work): Promise<void>;
}

/** Errors: PXM_INPUT_INVALID when the order names no change that this agent knows. */
export function bindChange(parts: GuestParts, request: ChangeRequest): BoundChange {
  const { vmid, guestUid } = request;
  const change = request.change?.change;
  if (change === undefined)
    throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'change: name what is to be changed' });
  const kind = kindOf(change.$case);
  const job: ChangeJob<unknown> = {
    parts,
    vmid,
    guestUid,
    change: change.value,
    run: (command) => parts.runner.run(command),
  };
  return {
    kind: CHANGE_KINDS[change.$case],
    title: kind.title(vmid, change.value),
    params: { vmid, guestUid, change: ContainerChange.toJSON({ change }) },
    check: () => kind.check(job),
    preview: async () => {
      await kind.check(job);
      return (await kind.commands(job)).map(toHostCommand);
    },
    carryOut: async (work) => {
      const own = { ...job, run: runIn(work) };
      await kind.check(own);
      work.result('vmid', String(vmid));
      await parts.files
        .whileHere({ vmid, guestUid }, () => kind.carryOut(own, work))
        .catch((error: unknown) => {
          if (isPxmError(error, 'PXM_GUEST_MOVED')) tellIfMoved(kind, own, work);
          throw error;
        });
    },
  };
}

/** By operation kind. */
export function changeRecoveries(parts: GuestParts): [kind: string, rule: RecoveryRule][] {
  return (Object.keys(KINDS) as ChangeCase[]).map((name) => [CHANGE_KINDS[name], recoveryOf(parts, name)]);
}

function recoveryOf(parts: GuestParts, name: ChangeCase): RecoveryRule {
  return async (replay, work) => {
    const { vmid, guestUid, change: stored } = replay.params as StoredChange;
    if (replay.effects.length === 0) return { outcome: 'undone' };
    await waitForTasks(parts, vmid, work.signal);
    const config = parts.files.config(vmid);
    const change = ContainerChange.fromJSON(stored).change?.value;
    const job = { parts, vmid, guestUid, change, run: runIn(work) };
    // Destroyed or replaced meanwhile: nothing of the change can be left.
    if (config === undefined || (guestUid !== '' && guestUidOf(config) !== guestUid)) {
      tellIfMoved(kindOf(name), job, work);
      return { outcome: 'undone' };
    }
    work.result('vmid', String(vmid));
    return await kindOf(name).recover(job, work, replay);
  };
}

function tellIfMoved(kind: ChangeKind<unknown>, job: ChangeJob<unknown>, work: Work): void {
  const moved = job.parts.files.moved(job);
  if (moved !== undefined) kind.tellMoved?.(job, work, moved);
}

function runIn(work: Work): ChangeJob<unknown>['run'] {
  return (command) => work.run(command);
}

/** The value of a change always belongs to the kind of its case; the type system cannot follow that through a table. */
function kindOf(name: ChangeCase): ChangeKind<unknown> {
  return KINDS[name] as ChangeKind<unknown>;
}
