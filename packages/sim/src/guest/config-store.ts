/**
 * guest/: a container's configuration and volumes, without any program around them. `config-store.ts` loads and writes
 * the files, `pending.ts` and `change.ts` decide what a change does to them, `mount-point.ts` and `disks.ts` know
 * volumes. Tools in pct/ call this room; it calls the cluster file system, the storages and the schema, never a tool.
 */

import { withFileLock } from '../call/file-lock.ts';
import { ToolError } from '../call/tool.ts';
import { guestFile, readGuestFile, removePveFile, writePveFile } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';
import { perlBytes } from '../text/code.ts';
import { type GuestConfig, type GuestSection, parseConfig, printConfig } from '../text/guest-config.ts';
import { usedVolumes } from './mount-point.ts';
import { containerSyntax } from './syntax.ts';

export function configPath(host: Host, vmid: number): string {
  return guestFile(host.name, 'lxc', vmid);
}

export function missingConfig(host: Host, vmid: number): ToolError {
  return new ToolError(`Configuration file '${configPath(host, vmid)}' does not exist\n`, 2);
}

/** Warnings of the parser go to `warn`, one line each. Throws when this node has no such container. */
export function loadConfig(host: Host, vmid: number, warn: (text: string) => void): GuestConfig {
  const text = readGuestFile(host, configPath(host, vmid));
  if (text === undefined) throw missingConfig(host, vmid);
  const { config, warnings } = parseConfig(text, vmid, containerSyntax);
  for (const line of warnings) warn(perlBytes(line.endsWith('\n') ? line : `${line}\n`).toString());
  return config;
}

/** `unusedN` entries of volumes that are in use again are dropped, as upstream's writer does. */
export function storeConfig(host: Host, vmid: number, config: GuestConfig): void {
  storeInSteps(host, { vmid, steps: 1 }, config);
}

/** Upstream writes some configs several times in a row; each write counts. */
export function storeInSteps(host: Host, at: { vmid: number; steps: number }, config: GuestConfig): void {
  writePveFile(host, { path: configPath(host, at.vmid), text: textOf(config), steps: at.steps });
}

/** Refused when the id is taken anywhere in the cluster. */
export function storeNewConfig(host: Host, vmid: number, config: GuestConfig): void {
  writePveFile(host, { path: configPath(host, vmid), text: textOf(config), isNew: true });
}

function textOf(config: GuestConfig): Buffer {
  const used = new Set(usedVolumes(config));
  for (const [key, value] of config.values) if (/^unused\d+$/.test(key) && used.has(value)) config.values.delete(key);
  return perlBytes(printConfig(config));
}

export function removeConfig(host: Host, vmid: number): void {
  removePveFile(host, configPath(host, vmid));
}

export function requireUnlocked(config: GuestConfig): void {
  const lock = config.values.get('lock');
  if (lock !== undefined && lock !== '') throw new ToolError(`CT is locked (${lock})\n`);
}

export function requireUnprotected(config: GuestConfig, text: string): void {
  if (config.values.get('protection') === '1') throw new ToolError(`${text} - protection mode enabled\n`);
}

export interface GuestLock {
  readonly host: Host;
  readonly vmid: number;
  readonly waitMs?: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  readonly death?: AbortSignal | undefined;
  readonly isInTask?: boolean;
}

/** The config's flock: 10 s, or less where the caller says so. */
export function withGuestLock<T>(lock: GuestLock, section: () => Promise<T>): Promise<T> {
  const path = `/run/lock/lxc/pve-config-${lock.vmid}.lock`;
  const { host, say, signal, death } = lock;
  return withFileLock(
    { host, path, waitMs: lock.waitMs ?? 10_000, say, signal, death, timeoutStatus: lock.isInTask === true ? 255 : 4 },
    section,
  );
}

export function requireSnapshot(config: GuestConfig, name: string): GuestSection {
  const section = config.snapshots.get(name);
  if (section === undefined) throw new ToolError(`snapshot '${name}' does not exist\n`);
  return section;
}
