/** Changes of a container that exists: how each reads, what is wrong with it, and when the inventory shows it. Pure. */
import { type ChangeCase, type ChangeValue, parseSnapshotName } from '@pxmgr/contract';
import type { ContainerChange, ContainerDocument } from '@pxmgr/contract/common';
import type { Complain } from './complaint.ts';

interface ChangeRule<Value> {
  /** `subject`: "container web (101)". */
  readonly title: (subject: string, change: Value) => string;
  /** What can be said without the guest; the agent knows the rest, and is asked before the plan is kept. */
  readonly problems: (change: Value, complain: Complain) => void;
  /** The guest as the inventory has it after the change. */
  readonly isShown: (guest: ContainerDocument, change: Value) => boolean;
}

const DESCRIPTION_MAX = 8192;

const RULES: { readonly [Case in ChangeCase]: ChangeRule<ChangeValue<Case>> } = {
  createSnapshot: {
    title: (subject, { name }) => `create snapshot ${name} of ${subject}`,
    problems: ({ name, description }, complain) => {
      checkSnapshotName(name, complain);
      if (description.length > DESCRIPTION_MAX)
        complain('description', `must have at most ${DESCRIPTION_MAX} characters`);
    },
    isShown: (guest, { name }) => guest.snapshots.includes(name) && guest.lock === '',
  },
  rollbackSnapshot: {
    title: (subject, { name }) => `roll ${subject} back to snapshot ${name} (stops it if it runs)`,
    problems: ({ name }, complain) => {
      checkSnapshotName(name, complain);
    },
    isShown: (guest, { name }) => guest.status === 'stopped' && guest.lock === '' && guest.config['parent'] === name,
  },
  destroySnapshot: {
    title: (subject, { name }) => `destroy snapshot ${name} of ${subject}`,
    problems: ({ name }, complain) => {
      checkSnapshotName(name, complain);
    },
    isShown: (guest, { name }) => !guest.snapshots.includes(name),
  },
};

function checkSnapshotName(name: string, complain: Complain): void {
  const parsed = parseSnapshotName(name);
  if (!parsed.ok) complain(`snapshot ${name}`, parsed.reason);
}

export function changeTitle(change: ContainerChange | undefined, subject: string): string {
  const { rule, value } = ruled(change);
  return rule.title(subject, value);
}

export function checkChange(change: ContainerChange | undefined, complain: Complain): void {
  if (change?.change === undefined) {
    complain('change', 'name what is to be changed');
    return;
  }
  const { rule, value } = ruled(change);
  rule.problems(value, complain);
}

export function isChangeShown(guest: ContainerDocument, change: ContainerChange | undefined): boolean {
  const { rule, value } = ruled(change);
  return rule.isShown(guest, value);
}

/** The value of a change always belongs to the rule of its case; the type system cannot follow that through a table. */
function ruled(change: ContainerChange | undefined): { rule: ChangeRule<unknown>; value: unknown } {
  if (change?.change === undefined) throw new Error('the action names no change');
  const { $case, value } = change.change;
  return { rule: RULES[$case] as ChangeRule<unknown>, value };
}
