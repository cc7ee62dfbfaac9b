import type { SetOptions } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command } from '@pxmgr/kit/exec/command';
import { runJudged } from '../../operation/judge.ts';
import type { Work } from '../../operation/work.ts';
import type { GuestConfig } from '../config-file.ts';
import { type ChangeJob, type ChangeKind, requireChangeable, subjectOf, tellRestart } from './kind.ts';
import { type OptionValue, unmetOptions, waitingOptions, wantedOptions } from './option-values.ts';

type Job = ChangeJob<SetOptions>;

const SET_TIMEOUT_MS = 60_000;
const EFFECT = 'container.set';

export const setOptions: ChangeKind<SetOptions> = {
  title: (vmid, change) => `set ${keysOf(wantedOptions(change))} of container ${vmid}`,
  check: (job) => {
    planSet(job);
  },
  commands: (job) => commandOf(job.vmid, planSet(job)),
  carryOut: async (job, work) => {
    const { parts, vmid } = job;
    const { config, unmet } = planSet(job);
    const [command] = commandOf(vmid, { config, unmet });
    if (command === undefined) {
      work.log('note', 'it is so already');
      return;
    }
    const context = subjectOf(job);
    await work.step('set', `set ${keysOf(unmet)}`, () =>
      work.effect({ name: EFFECT, data: { vmid: String(vmid), keys: keysOf(unmet) } }, () =>
        runJudged(work, parts.tasks, {
          command,
          context,
          postCondition: () => differenceOf(job),
          unmet: (difference) => new PxmError('PXM_VERIFY_FAILED', { ...context, difference }),
        }),
      ),
    );
    tellLate(job, unmet, work);
  },
  // `pct set` stores all of its values or none.
  recover: (job, work, { effects }) => {
    if (differenceOf(job) !== undefined) return Promise.resolve({ outcome: 'undone' });
    const keys = effects.find(({ name }) => name === EFFECT)?.data['keys']?.split(', ') ?? [];
    tellLate(
      job,
      wantedOptions(job.change).filter(({ key }) => keys.includes(key)),
      work,
    );
    return Promise.resolve({ outcome: 'resumed' });
  },
};

/** Of what was set just now: what the running guest does not have yet. */
function tellLate({ parts, vmid }: Job, set: readonly OptionValue[], work: Work): void {
  const config = parts.files.config(vmid);
  if (config === undefined || !parts.runState.isRunning(vmid)) return;
  // Proxmox stores a new host name at once; the running system keeps its own.
  const hostname = set.filter(({ key }) => key === 'hostname').map(({ key }) => key);
  tellRestart(work, [...waitingOptions(config, set), ...hostname], 'the running container gets it at its next start');
}

function keysOf(options: readonly OptionValue[]): string {
  return options.map(({ key }) => key).join(', ');
}

interface SetPlan {
  readonly config: GuestConfig;
  readonly unmet: readonly OptionValue[];
}

function planSet(job: Job): SetPlan {
  const config = requireChangeable(job);
  const wanted = wantedOptions(job.change);
  if (wanted.length === 0)
    throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'options: name at least one' });
  return { config, unmet: unmetOptions(config, wanted) };
}

function differenceOf({ parts, vmid, change }: Job): string | undefined {
  const config = parts.files.config(vmid);
  if (config === undefined) return 'its configuration is gone';
  const left = unmetOptions(config, wantedOptions(change));
  return left.length === 0 ? undefined : `${keysOf(left)} is not as ordered`;
}

/** No command when there is nothing to change. `--delete` does nothing to a value that only waits: that one is reverted. */
function commandOf(vmid: number, { config, unmet }: SetPlan): Command[] {
  if (unmet.length === 0) return [];
  const gone = unmet.filter(({ value }) => value === undefined).map(({ key }) => key);
  const remove = gone.filter((key) => config.entries.has(key));
  const revert = gone.filter((key) => !config.entries.has(key));
  const args = [
    ...unmet.flatMap(({ key, value }) => (value === undefined ? [] : [`--${key}`, value])),
    ...(remove.length > 0 ? ['--delete', remove.join(',')] : []),
    ...(revert.length > 0 ? ['--revert', revert.join(',')] : []),
  ];
  const purpose = `set ${keysOf(unmet)} of container ${vmid}`;
  return [{ file: 'pct', args: ['set', String(vmid), ...args], purpose, timeoutMs: SET_TIMEOUT_MS }];
}
