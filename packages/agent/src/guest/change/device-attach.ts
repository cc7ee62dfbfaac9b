import type { AttachDevices } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { needsAutodevHook, requireAutodevHook } from '../../device/autodev.ts';
import { type DeviceEntry, planDevices } from '../../device/passthrough.ts';
import { runJudged } from '../../operation/judge.ts';
import type { Work } from '../../operation/work.ts';
import type { GuestConfig } from '../config-file.ts';
import { addAutodevHook, addDeviceGroups } from '../device-lines.ts';
import { editConfig } from '../edit.ts';
import { accountsOf } from '../guest-accounts.ts';
import { deviceValue } from '../pct-args.ts';
import { setDevicesCommand } from './device-args.ts';
import { deviceSlots, freeSlots, mapsGid } from './device-slots.ts';
import { type ChangeJob, type ChangeKind, requireChangeable, subjectOf, tellRestart } from './kind.ts';

type Job = ChangeJob<AttachDevices>;

/** Nothing left to choose. */
interface AttachPlan {
  /** By devN. */
  readonly add: ReadonlyMap<string, DeviceEntry>;
  /** devN whose removal waits for a restart: it stays instead. */
  readonly revert: readonly string[];
  readonly needsHook: boolean;
  /** The main process is not root: it gets the groups of its devices. */
  readonly needsGroups: boolean;
  readonly warnings: readonly string[];
}

export const attachDevices: ChangeKind<AttachDevices> = {
  title: (vmid, change) => `give ${pathsOf(change)} to container ${vmid}`,
  check: async (job) => {
    await planAttach(job);
  },
  commands: async (job) => [setDevicesCommand(job.vmid, await planAttach(job))],
  carryOut: async (job, work) => {
    const plan = await planAttach(job);
    for (const warning of plan.warnings) work.warn(warning);
    await work.step('attach', `give ${pathsOf(job.change)} to the container`, async () => {
      await attach(job, work, plan);
      try {
        await addLines(job, work, plan);
      } catch (error) {
        await takeBack(job, work, plan);
        throw error;
      }
    });
    tellLate(job, work);
  },
  recover: async (job, work) => {
    const { devices } = job.change;
    const given = new Map(slotsOf(job).map(({ path, state }) => [path, state]));
    // `pct set` stores all of its values or none.
    if (!devices.every(({ path }) => ['now', 'attach'].includes(given.get(path) ?? ''))) return { outcome: 'undone' };
    const isByPath = needsAutodevHook(devices);
    await addLines(job, work, { needsHook: isByPath, needsGroups: isNotRoot(job.parts.files.config(job.vmid)) });
    tellLate(job, work);
    return { outcome: 'resumed' };
  },
  // There is no such device there, or it is another one: the guest may not start with it.
  tellMoved: ({ vmid, change }, work, { node, config }) => {
    const slots = deviceSlots(config);
    const paths = change.devices.map(({ path }) => path).filter((path) => slots.some((slot) => slot.path === path));
    if (paths.length === 0) return;
    const flags = paths.map((path) => `--path ${path}`).join(' ');
    work.warn(
      `container ${vmid} has taken ${paths.join(', ')} along to ${node}, and may not start there with it: take it away with "pxmgr device detach ${vmid} ${flags}"`,
    );
  },
};

function pathsOf({ devices }: AttachDevices): string {
  return devices.map(({ path }) => path).join(', ');
}

function slotsOf({ parts, vmid }: Job) {
  const config = parts.files.config(vmid);
  return config === undefined ? [] : deviceSlots(config);
}

async function planAttach(job: Job): Promise<AttachPlan> {
  const { parts, change } = job;
  const config = requireChangeable(job);
  if (change.devices.length === 0) throw invalid('devices: name at least one');
  const accounts = await accountsOf({ paths: parts.paths, node: parts.files.node, run: job.run }, config);
  const planned = planDevices(change.devices, accounts, parts.paths);
  if (needsAutodevHook(planned.entries)) requireAutodevHook(parts.paths, parts.files.node);
  for (const { path, gid } of planned.entries)
    if (!mapsGid(config, gid)) throw invalid(`${path}: group ${gid} is not in the id map of the container`);
  const slots = new Map(deviceSlots(config).map((slot) => [slot.path, slot]));
  const fresh = planned.entries.filter(({ path }) => !slots.has(path));
  const revert = planned.entries.flatMap(({ path }) => {
    const slot = slots.get(path);
    return slot?.state === 'detach' ? [slot.key] : [];
  });
  if (fresh.length + revert.length === 0)
    throw new PxmError('PXM_DEVICE_ATTACHED', { ...subjectOf(job), device: pathsOf(change) });
  const keys = freeSlots(config, fresh.length);
  if (keys.length < fresh.length) throw invalid('devices: the container has no devN left for them');
  return {
    add: new Map(keys.flatMap((key, index) => (fresh[index] === undefined ? [] : [[key, fresh[index]] as const]))),
    revert,
    needsHook: needsAutodevHook(planned.entries),
    needsGroups: isNotRoot(config),
    warnings: [
      ...planned.warnings,
      ...(accounts.unknown === undefined ? [] : [`its /etc/group could not be read: ${accounts.unknown}`]),
    ],
  };
}

function isNotRoot(config: GuestConfig | undefined): boolean {
  const uid = config?.raw.find(([key]) => key === 'lxc.init.uid')?.[1] ?? '0';
  return uid !== '0';
}

async function attach(job: Job, work: Work, plan: AttachPlan): Promise<void> {
  const { parts, vmid, change } = job;
  const context = subjectOf(job);
  let cannotHotplug = false;
  await work.effect({ name: 'device.attach', data: { vmid: String(vmid), paths: pathsOf(change) } }, async () => {
    try {
      await runJudged(work, parts.tasks, {
        command: setDevicesCommand(vmid, plan),
        context,
        postCondition: ({ stderr }) => {
          cannotHotplug = /unable to hotplug dev\d+/.test(stderr);
          return differenceOf(job);
        },
        unmet: (difference) => new PxmError('PXM_VERIFY_FAILED', { ...context, difference }),
      });
    } catch (error) {
      // AppArmor without the profile for it: then nothing was stored, and the device comes with the next start.
      if (!cannotHotplug || work.signal.aborted) throw error;
      await waitForRestart(job, work, plan);
    }
  });
}

/** Puts the devices among the waiting values, where `pct` itself puts what cannot be changed while the guest runs. */
async function waitForRestart({ parts, vmid }: Job, work: Work, { add, revert }: AttachPlan): Promise<void> {
  work.internal(`let ${[...add.keys()].join(', ')} wait for the next start of container ${vmid}`);
  await editConfig(
    { paths: parts.paths, node: parts.files.node, run: (command) => work.run(command) },
    {
      vmid,
      guard: (config) => {
        const taken = new Set(deviceSlots(config).map(({ key }) => key));
        if ([...add.keys()].some((key) => taken.has(key)))
          throw new PxmError('PXM_CONFIG_DIGEST_CHANGED', { vmid: String(vmid) });
      },
      change: ({ pending }) => {
        for (const [key, device] of add) pending.entries.set(key, deviceValue(device));
        const kept = (pending.entries.get('delete') ?? '').split(',').filter((key) => !revert.includes(key));
        if (kept.join(',') === '') pending.entries.delete('delete');
        else pending.entries.set('delete', kept.join(','));
      },
    },
  );
}

function differenceOf(job: Job): string | undefined {
  const given = new Map(slotsOf(job).map(({ path, state }) => [path, state]));
  const missing = job.change.devices.find(({ path }) => !['now', 'attach'].includes(given.get(path) ?? ''));
  return missing === undefined ? undefined : `${missing.path} is not given to it`;
}

async function addLines(
  { parts, vmid }: Job,
  work: Work,
  { needsHook, needsGroups }: Pick<AttachPlan, 'needsHook' | 'needsGroups'>,
): Promise<void> {
  if (!needsHook && !needsGroups) return;
  await work.effect({ name: 'device.lines', data: { vmid: String(vmid) } }, async () => {
    await editConfig(
      { paths: parts.paths, node: parts.files.node, run: (command) => work.run(command) },
      {
        vmid,
        change: (config) => {
          if (needsHook) addAutodevHook(config);
          if (needsGroups) addDeviceGroups(config);
        },
      },
    );
  });
}

/** Without its lines a device is of no use to the guest. PXM_NO_QUORUM, PXM_UNDO_INCOMPLETE. */
async function takeBack(job: Job, work: Work, { add, revert }: AttachPlan): Promise<void> {
  const { parts, vmid, change } = job;
  parts.cluster.requireQuorum();
  const isOurs = (state: string): string[] =>
    slotsOf(job).flatMap((slot) => (add.has(slot.key) && slot.state === state ? [slot.key] : []));
  const command = setDevicesCommand(vmid, { remove: [...isOurs('now'), ...revert], revert: isOurs('attach') });
  work.log('note', 'undoing what was made');
  await work.effect({ name: 'device.detach', data: { vmid: String(vmid), paths: pathsOf(change) } }, async () => {
    await work.run(command, { evenIfCancelled: true });
    const left = [...isOurs('now'), ...isOurs('attach')].join(', ');
    if (left !== '') throw new PxmError('PXM_UNDO_INCOMPLETE', { operation: work.id, left });
  });
}

function tellLate(job: Job, work: Work): void {
  const wanted = new Set(job.change.devices.map(({ path }) => path));
  const waiting = slotsOf(job).filter(({ path, state }) => state === 'attach' && wanted.has(path));
  const paths = waiting.map(({ path }) => path);
  tellRestart(work, paths, 'the container gets it at its next start');
}

function invalid(problem: string): PxmError {
  return new PxmError('PXM_INPUT_INVALID', { count: '1', problems: problem });
}
