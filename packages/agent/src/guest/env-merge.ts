import type { EnvironmentVariable } from '@pxmgr/contract/common';

export type EnvList = readonly (readonly [name: string, value: string])[];

/** What the API's pattern accepts (proxmox/pve-container src/PVE/LXC/Config.pm); others would block every later edit. */
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * What the image gives, with the user's wishes on top: replaced in place, removed, or added at the end. `home` is set
 * when nothing else sets HOME, because Proxmox does not.
 */
export function applyEnv(
  image: EnvList,
  wishes: readonly EnvironmentVariable[],
  home: string | undefined,
): [string, string][] {
  const values = new Map<string, string>(image.map(([name, value]) => [name, value]));
  if (home !== undefined && !values.has('HOME')) values.set('HOME', home);
  for (const { name, value, remove } of wishes) {
    if (remove) values.delete(name);
    else values.set(name, value);
  }
  return [...values];
}

/** Three ways: what the old image gave, what is configured now, what the new image gives. */
export interface EnvMerge {
  readonly base: EnvList;
  readonly current: EnvList;
  readonly next: EnvList;
}

/**
 * For a new image under the same guest: what a person changed, added or removed stays so; everything else follows the
 * new image, and a default that it dropped disappears.
 */
export function mergeEnv({ base, current, next }: EnvMerge): [string, string][] {
  const [old, now] = [new Map(base), new Map(current)];
  const merged = new Map<string, string>();
  for (const [name, value] of next) {
    const isTouched = old.has(name) && now.get(name) !== old.get(name);
    const kept = isTouched || (!old.has(name) && now.has(name)) ? now.get(name) : value;
    if (kept !== undefined) merged.set(name, kept);
  }
  for (const [name, value] of now) {
    const isDefault = old.has(name) && old.get(name) === value;
    if (!merged.has(name) && !isDefault) merged.set(name, value);
  }
  return [...merged];
}

/** One value under the same rule: a person's change stays, otherwise the new image's value counts. */
export function mergeValue<T>(base: T, current: T, next: T): T {
  return current === base ? next : current;
}
