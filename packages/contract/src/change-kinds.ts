/** Kinds of operations that change a container which exists: the agent's operation and the plan's step have one name. */
import type { ContainerChange } from './common.ts';

export type AnyChange = NonNullable<ContainerChange['change']>;
export type ChangeCase = AnyChange['$case'];
export type ChangeValue<Case extends ChangeCase> = Extract<AnyChange, { readonly $case: Case }>['value'];

export const CHANGE_KINDS = {
  createSnapshot: 'container.snapshot.create',
  rollbackSnapshot: 'container.snapshot.rollback',
  destroySnapshot: 'container.snapshot.destroy',
  attachDevices: 'device.attach',
  detachDevices: 'device.detach',
  setOptions: 'container.set',
} as const satisfies Record<ChangeCase, string>;

export type ChangeKindName = (typeof CHANGE_KINDS)[ChangeCase];
