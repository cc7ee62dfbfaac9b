/** Changes of a container that exists: how each reads, what is wrong with it, and when the inventory shows it. Pure. */
import {
  type ChangeCase,
  type ChangeValue,
  parseAbsolutePath,
  parsePciAddress,
  parseSnapshotName,
} from '@pxmgr/contract';
import type { AttachDevices, ContainerChange, ContainerDocument, DetachDevices, Device } from '@pxmgr/contract/common';
import type { ChangeAction } from '@pxmgr/contract/controller';
import type { Complain } from './complaint.ts';
import { checkDescription, checkOptions, optionNames, optionsShown } from './set-options.ts';

interface ChangeRule<Value> {
  /** `subject`: "container web (101)". */
  readonly title: (subject: string, change: Value) => string;
  /** What can be said without the guest; the agent knows the rest, and is asked before the plan is kept. */
  readonly problems: (change: Value, complain: Complain) => void;
  /** How the plan's step is taken back; left out = it cannot be. */
  readonly undo?: string;
  /** The guest as the inventory has it after the change. */
  readonly isShown: (guest: ContainerDocument, change: Value) => boolean;
  /** In what state it leaves the guest; left out = as it was. */
  readonly leaves?: 'stopped';
}

const RULES: { readonly [Case in ChangeCase]: ChangeRule<ChangeValue<Case>> } = {
  createSnapshot: {
    title: (subject, { name }) => `create snapshot ${name} of ${subject}`,
    problems: ({ name, description }, complain) => {
      checkSnapshotName(name, complain);
      checkDescription(description, complain);
    },
    isShown: (guest, { name }) => guest.snapshots.includes(name) && guest.lock === '',
  },
  rollbackSnapshot: {
    title: (subject, { name }) => `roll ${subject} back to snapshot ${name} (stops it if it runs)`,
    problems: ({ name }, complain) => {
      checkSnapshotName(name, complain);
    },
    isShown: (guest, { name }) => guest.lock === '' && guest.config['parent'] === name,
    leaves: 'stopped',
  },
  destroySnapshot: {
    title: (subject, { name }) => `destroy snapshot ${name} of ${subject}`,
    problems: ({ name }, complain) => {
      checkSnapshotName(name, complain);
    },
    isShown: (guest, { name }) => !guest.snapshots.includes(name),
  },
  attachDevices: {
    title: (subject, change) => `give ${deviceText(change)} to ${subject}`,
    problems: ({ gpu, devices }, complain) => {
      if (gpu === undefined && devices.length === 0) complain('devices', 'name a GPU, a USB device or a path');
      checkDevices(devices, complain);
    },
    undo: 'take away what was given here',
    isShown: ({ devices: given }, { devices }) =>
      devices.every(({ path }) => given.some((one) => one.path === path && one.pending !== 'detach')),
  },
  detachDevices: {
    title: (subject, change) => `take ${deviceText(change)} from ${subject}`,
    problems: ({ devices }, complain) => {
      if (devices.length === 0) complain('devices', 'name a GPU, a USB device or a path');
      checkDevices(devices, complain);
    },
    isShown: ({ devices: given }, { devices }) =>
      !devices.some(({ path }) => given.some((one) => one.path === path && one.pending !== 'detach')),
  },
  setOptions: {
    title: (subject, change) => `set ${optionNames(change)} of ${subject}`,
    problems: checkOptions,
    isShown: (guest, change) => optionsShown(guest, change),
  },
};

function deviceText({ gpu, devices }: Partial<AttachDevices> & DetachDevices): string {
  const names = devices.map(({ path, deviceId }) => path || deviceId);
  return [...(gpu === undefined || devices.some(({ deviceId }) => isPci(deviceId)) ? [] : ['a GPU']), ...names].join(
    ', ',
  );
}

function isPci(id: string): boolean {
  return parsePciAddress(id).ok;
}

function checkDevices(devices: readonly Device[], complain: Complain): void {
  for (const { path, deviceId } of devices) {
    const parsed = path === '' ? undefined : parseAbsolutePath(path);
    if (parsed === undefined ? deviceId === '' : !parsed.ok || !parsed.value.startsWith('/dev/'))
      complain(`device "${path}"`, 'must be a path below /dev');
  }
}

function checkSnapshotName(name: string, complain: Complain): void {
  const parsed = parseSnapshotName(name);
  if (!parsed.ok) complain(`snapshot ${name}`, parsed.reason);
}

export function changeTitle(change: ContainerChange | undefined, subject: string): string {
  const { rule, value } = ruled(change);
  return rule.title(subject, value);
}

export function changeUndo(change: ContainerChange | undefined): string {
  return ruled(change).rule.undo ?? '';
}

export function checkChange({ change, start }: ChangeAction, complain: Complain): void {
  if (change?.change === undefined) {
    complain('change', 'name what is to be changed');
    return;
  }
  if (start && change.change.$case !== 'rollbackSnapshot') complain('start', 'goes with a rollback only');
  const { rule, value } = ruled(change);
  rule.problems(value, complain);
}

export function isChangeShown(guest: ContainerDocument, { change, start }: ChangeAction): boolean {
  const { rule, value } = ruled(change);
  const status = start ? 'running' : (rule.leaves ?? guest.status);
  return rule.isShown(guest, value) && guest.status === status;
}

/** The value of a change always belongs to the rule of its case; the type system cannot follow that through a table. */
function ruled(change: ContainerChange | undefined): { rule: ChangeRule<unknown>; value: unknown } {
  if (change?.change === undefined) throw new Error('the action names no change');
  const { $case, value } = change.change;
  return { rule: RULES[$case] as ChangeRule<unknown>, value };
}
