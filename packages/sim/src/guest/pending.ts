/** The pending section: values and deletions that wait for the next start (pve-guest-common src/PVE/AbstractConfig.pm). */
import type { GuestConfig, GuestSection } from '../text/guest-config.ts';

/** Keys to delete; the `!` of a forced one is dropped. */
export function pendingDeletes(config: GuestConfig): Set<string> {
  const words = (config.pending.values.get('delete') ?? '').split(/[,;\s]+/).filter((word) => word !== '');
  return new Set(words.map((word) => word.replace(/^!/, '')));
}

function setDeletes(config: GuestConfig, keys: ReadonlySet<string>): void {
  if (keys.size === 0) config.pending.values.delete('delete');
  else config.pending.values.set('delete', [...keys].sort().join(','));
}

export function addPendingDelete(config: GuestConfig, key: string): void {
  setDeletes(config, pendingDeletes(config).add(key));
}

export function dropPendingDelete(config: GuestConfig, key: string): void {
  const keys = pendingDeletes(config);
  if (keys.delete(key)) setDeletes(config, keys);
}

/** Drops what would change nothing: values equal to the current ones, deletions of keys that are not set. */
export function cleanPending(config: GuestConfig): void {
  for (const key of pendingKeys(config))
    if (config.values.get(key) === config.pending.values.get(key)) config.pending.values.delete(key);
  setDeletes(config, new Set([...pendingDeletes(config)].filter((key) => config.values.has(key))));
}

/** Keys with a waiting value, sorted, without `delete`. */
export function pendingKeys(config: GuestConfig): string[] {
  return [...config.pending.values.keys()].filter((key) => key !== 'delete').sort();
}

/** What `pct config` shows: current values with the waiting ones merged in. */
export function mergedView(config: GuestConfig): GuestSection {
  const values = new Map(config.values);
  for (const key of pendingKeys(config)) values.set(key, config.pending.values.get(key) ?? '');
  for (const key of pendingDeletes(config)) values.delete(key);
  return { values, raw: config.raw };
}
