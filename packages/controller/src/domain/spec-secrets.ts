/** The values of a guest's environment may be secrets: records and answers carry their names alone. */
import type { ContainerSpec, EnvironmentVariable } from '@pxmgr/contract/common';

export function withoutValues(spec: ContainerSpec): ContainerSpec {
  return { ...spec, env: spec.env.map((variable) => ({ ...variable, value: '' })) };
}

/** The same for a record that may hold no spec. */
export function hideValues<T extends { readonly spec?: ContainerSpec | undefined }>(record: T): T {
  return record.spec === undefined ? record : { ...record, spec: withoutValues(record.spec) };
}

export function withEnvironment(spec: ContainerSpec, env: readonly EnvironmentVariable[]): ContainerSpec {
  return { ...spec, env: [...env] };
}
