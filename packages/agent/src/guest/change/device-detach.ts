import type { DetachDevices } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { runJudged } from '../../operation/judge.ts';
import type { Work } from '../../operation/work.ts';
import { setDevicesCommand } from './device-args.ts';
import { type DeviceSlot, deviceSlots } from './device-slots.ts';
import { type ChangeJob, type ChangeKind, requireChangeable, subjectOf, tellRestart } from './kind.ts';

type Job = ChangeJob<DetachDevices>;

interface DetachPlan {
  readonly remove: readonly string[];
  /** devN that only wait for a restart. */
  readonly revert: readonly string[];
}

export const detachDevices: ChangeKind<DetachDevices> = {
  title: (vmid, change) => `take ${pathsOf(change)} from container ${vmid}`,
  check: (job) => {
    planDetach(job);
  },
  commands: (job) => [setDevicesCommand(job.vmid, planDetach(job))],
  carryOut: async (job, work) => {
    const { parts, vmid, change } = job;
    const plan = planDetach(job);
    const context = subjectOf(job);
    await work.step('detach', `take ${pathsOf(change)} from the container`, () =>
      work.effect({ name: 'device.detach', data: { vmid: String(vmid), paths: pathsOf(change) } }, () =>
        runJudged(work, parts.tasks, {
          command: setDevicesCommand(vmid, plan),
          context,
          postCondition: () => {
            // A guest that is not here any more still has what it had.
            if (parts.files.config(vmid) === undefined) return 'its configuration is gone';
            const [left] = stillGiven(job);
            return left === undefined ? undefined : `${left.path} is still given to it`;
          },
          unmet: (difference) => new PxmError('PXM_VERIFY_FAILED', { ...context, difference }),
        }),
      ),
    );
    tellLate(job, work);
  },
  recover: (job, work) => {
    if (stillGiven(job).length > 0) return Promise.resolve({ outcome: 'undone' });
    tellLate(job, work);
    return Promise.resolve({ outcome: 'resumed' });
  },
};

function tellLate(job: Job, work: Work): void {
  const waiting = slotsOf(job).filter(({ state }) => state === 'detach');
  const paths = waiting.map(({ path }) => path);
  tellRestart(work, paths, 'the container keeps it until its next start');
}

function pathsOf({ devices }: DetachDevices): string {
  return devices.map(({ path }) => path).join(', ');
}

/** Those of the named devices that the guest has, in whatever state. */
function slotsOf({ parts, vmid, change }: Job): DeviceSlot[] {
  const config = parts.files.config(vmid);
  const named = new Set(change.devices.map(({ path }) => path));
  return config === undefined ? [] : deviceSlots(config).filter(({ path }) => named.has(path));
}

function stillGiven(job: Job): DeviceSlot[] {
  return slotsOf(job).filter(({ state }) => state !== 'detach');
}

function planDetach(job: Job): DetachPlan {
  requireChangeable(job);
  const { devices } = job.change;
  const slots = stillGiven(job);
  const absent = devices.filter(({ path }) => !slots.some((slot) => slot.path === path));
  if (devices.length === 0 || absent.length > 0) {
    const device = absent.map(({ path }) => path).join(', ');
    throw new PxmError('PXM_DEVICE_NOT_ATTACHED', { ...subjectOf(job), device });
  }
  const keysOf = (state: DeviceSlot['state']): string[] =>
    slots.filter((slot) => slot.state === state).map(({ key }) => key);
  return { remove: keysOf('now'), revert: keysOf('attach') };
}
