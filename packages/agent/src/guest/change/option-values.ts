/** Options of a container as Proxmox stores them, and whether what is stored is what is wanted. Pure. */
import type { SetOptions } from '@pxmgr/contract/common';
import type { GuestConfig } from '../config-file.ts';
import { pendingDeletes } from './device-slots.ts';

export interface OptionValue {
  /** Key of the configuration and option of `pct set`. */
  readonly key: string;
  /** Undefined = the option is taken out of the configuration. */
  readonly value: string | undefined;
}

const MIB = 1024n * 1024n;
/** What counts when a key is absent (proxmox/pve-container src/PVE/LXC/Config.pm). */
const DEFAULTS: Readonly<Record<string, string>> = { memory: '512', swap: '512', onboot: '0' };

export function wantedOptions(change: SetOptions): OptionValue[] {
  const { memoryBytes, swapBytes, cores, name, onBoot, tags, description } = change;
  const mib = (bytes: bigint): string => String((bytes + MIB - 1n) / MIB);
  return [
    ...(memoryBytes === undefined ? [] : [{ key: 'memory', value: mib(memoryBytes) }]),
    ...(swapBytes === undefined ? [] : [{ key: 'swap', value: mib(swapBytes) }]),
    ...(cores === undefined ? [] : [{ key: 'cores', value: cores === 0 ? undefined : String(cores) }]),
    ...(name === undefined ? [] : [{ key: 'hostname', value: name }]),
    ...(onBoot === undefined ? [] : [{ key: 'onboot', value: onBoot ? '1' : '0' }]),
    // An empty value would be stored as an empty key.
    ...(tags === undefined ? [] : [{ key: 'tags', value: tags.tags.length === 0 ? undefined : tags.tags.join(';') }]),
    ...(description === undefined ? [] : [{ key: 'description', value: description }]),
  ];
}

/** Those that are not so yet, neither now nor at the next start. */
export function unmetOptions(config: GuestConfig, wanted: readonly OptionValue[]): OptionValue[] {
  return wanted.filter(({ key, value }) => canonical(key, storedValue(config, key)) !== canonical(key, value));
}

/** Those of them that a running guest gets at its next start only. */
export function waitingOptions(config: GuestConfig, wanted: readonly OptionValue[]): string[] {
  const deleted = pendingDeletes(config);
  return wanted.map(({ key }) => key).filter((key) => config.pending.entries.has(key) || deleted.has(key));
}

function storedValue(config: GuestConfig, key: string): string | undefined {
  if (key === 'description') return config.pending.description || config.description;
  if (config.pending.entries.has(key)) return config.pending.entries.get(key);
  return pendingDeletes(config).has(key) ? undefined : config.entries.get(key);
}

/** Stored forms differ from what was sent: tags are folded and sorted, a description may get or lose its last line feed. */
function canonical(key: string, value: string | undefined): string {
  const text = value ?? DEFAULTS[key] ?? '';
  if (key === 'description') return text.trimEnd();
  if (key !== 'tags') return text;
  const tags = text.split(/[;,\s]+/).filter((tag) => tag !== '');
  return [...new Set(tags.map((tag) => tag.toLowerCase()))].sort().join(';');
}
