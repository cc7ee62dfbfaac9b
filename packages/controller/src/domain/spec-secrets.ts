/** The values of a guest's environment may be secrets: records and answers carry their names alone. */
import type { ContainerSpec, EnvironmentVariable } from '@pxmgr/contract/common';

export function withoutValues(spec: ContainerSpec): ContainerSpec {
  if (spec.env.length === 0) return spec;
  return { ...spec, env: spec.env.map((variable) => ({ ...variable, value: '' })) };
}

/** The same for a record that may hold no spec. */
export function hideValues<T extends { readonly spec?: ContainerSpec | undefined }>(record: T): T {
  const { spec } = record;
  return spec === undefined || spec.env.length === 0 ? record : { ...record, spec: withoutValues(spec) };
}

export function withEnvironment(spec: ContainerSpec, env: readonly EnvironmentVariable[]): ContainerSpec {
  return { ...spec, env: [...env] };
}
