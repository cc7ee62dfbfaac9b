/** list, status, config, pending (pve-container src/PVE/CLI/pct.pm and the API methods behind it). */

import { readCluster, readPveFile, syncCluster } from '../cluster/pmxcfs.ts';
import { configPath, loadConfig, missingConfig, requireSnapshot } from '../guest/config-store.ts';
import { parseMountPoint } from '../guest/mount-point.ts';
import { mergedView, pendingDeletes, pendingKeys } from '../guest/pending.ts';
import { configProperty } from '../guest/syntax.ts';
import { isCgroupV2 } from '../host/cgroup.ts';
import type { Host } from '../host/host.ts';
import { type RunningGuest, runningGuest } from '../host/running.ts';
import { CallError, parameterError } from '../schema/command.ts';
import { FieldError, type FieldErrors } from '../schema/property.ts';
import { checkValue } from '../schema/value.ts';
import { ext4Space } from '../storage/ext4.ts';
import { encodeText, perlBytes } from '../text/code.ts';
import type { GuestConfig, GuestSection } from '../text/guest-config.ts';
import { parseSize } from '../text/size.ts';
import { flag, text, type Verb } from './context.ts';

export function ownContainers(verb: Pick<Verb, 'host'>): number[] {
  syncCluster(verb.host);
  const guests = Object.entries(readCluster(verb.host).guests);
  return guests
    .filter(([, guest]) => guest.type === 'lxc' && guest.node === verb.host.name)
    .map(([vmid]) => Number(vmid))
    .sort((a, b) => a - b);
}

/** Upstream multiplies the value as it stands. */
function warnNotNumeric(config: GuestConfig, warn: (line: string) => void): void {
  const memory = config.values.get('memory');
  if (memory === undefined || /^\s*[+-]?\d/.test(memory)) return;
  warn(`Argument "${memory}" isn't numeric in multiplication (*) at /usr/share/perl5/PVE/LXC.pm line 316.\n`);
}

export async function list(verb: Verb): Promise<number> {
  const rows = ownContainers(verb).map((vmid) => {
    const config = loadConfig(verb.host, vmid, verb.io.err);
    warnNotNumeric(config, verb.io.err);
    const name = (config.values.get('hostname') ?? `CT${vmid}`).replace(/\s/g, '');
    return [
      String(vmid),
      runningGuest(verb.host, vmid) === undefined ? 'stopped' : 'running',
      config.values.get('lock') ?? '',
      name,
    ];
  });
  if (rows.length === 0) return 0;
  for (const row of [['VMID', 'Status', 'Lock', 'Name'], ...rows]) {
    verb.io.out(
      `${(row[0] ?? '').padEnd(10)} ${(row[1] ?? '').padEnd(10)} ${(row[2] ?? '').padEnd(12)} ${(row[3] ?? '').padEnd(20)}\n`,
    );
  }
  return 0;
}

export async function status(verb: Verb): Promise<number> {
  const { host, vmid, io } = verb;
  if (readPveFile(host, configPath(host, vmid)) === undefined) throw missingConfig(host, vmid);
  if (!flag(verb, 'verbose')) {
    io.out(`status: ${runningGuest(host, vmid) === undefined ? 'stopped' : 'running'}\n`);
    return 0;
  }
  const fields = statusFields(verb, loadConfig(host, vmid, io.err));
  for (const key of Object.keys(fields).sort()) if (fields[key] !== null) io.out(`${key}: ${String(fields[key])}\n`);
  return 0;
}

/** The numbers upstream's vmstatus gives; usage of a guest without processes is zero. */
export function statusFields(
  verb: Pick<Verb, 'host' | 'vmid'>,
  config: GuestConfig,
  told: { readonly running: RunningGuest | undefined } = { running: runningGuest(verb.host, verb.vmid) },
): Record<string, string | number | null> {
  const { host, vmid } = verb;
  const { running } = told;
  const value = (key: string): string | undefined => config.values.get(key);
  const fields: Record<string, string | number | null> = {
    type: 'lxc',
    vmid,
    ...stateOf(running),
    name: (value('hostname') ?? `CT${vmid}`).replace(/\s/g, ''),
    cpus: coresOf(host, config),
    disk: 0,
    maxdisk: running === undefined ? rootfsBytes(config) : fileSystemBytes(config),
    mem: 0,
    swap: 0,
    maxmem: Number(value('memory') ?? 512) * 1024 * 1024,
    maxswap: Number(value('swap') ?? 0) * 1024 * 1024,
    netin: 0,
    netout: 0,
    diskread: 0,
    diskwrite: 0,
    ...(running === undefined ? {} : pressure(host)),
  };
  for (const key of ['tags', 'lock']) if (value(key) !== undefined) fields[key] = value(key) ?? '';
  if (value('template') === '1') fields['template'] = 1;
  return fields;
}

function stateOf(running: RunningGuest | undefined): Record<string, string | number> {
  if (running === undefined) return { status: 'stopped', uptime: 0 };
  return { status: 'running', uptime: Math.floor((Date.now() - running.since) / 1000), pid: running.pid };
}

function coresOf(host: Host, { values }: GuestConfig): number {
  return Number(values.get('cores') ?? values.get('cpulimit')) || host.identity.cores;
}

/** cgroup v1 has no such figures. */
function pressure(host: Host): Record<string, string | null> {
  const value = isCgroupV2(host) ? '0.00' : null;
  const kinds = ['cpu', 'io', 'memory'].flatMap((what) => [`${what}full`, `${what}some`]);
  return Object.fromEntries(kinds.map((kind) => [`pressure${kind}`, value]));
}

/** A running guest's root is asked for its size; a raw volume's file system has less room than the volume. */
function fileSystemBytes(config: GuestConfig): number {
  const bytes = rootfsBytes(config);
  return /\.raw(?:,|$)/.test(config.values.get('rootfs') ?? '') ? ext4Space(bytes).totalBytes : bytes;
}

const DEFAULT_DISK = 4 * 1024 ** 3;

function rootfsBytes(config: GuestConfig): number {
  const rootfs = config.values.get('rootfs');
  if (rootfs === undefined) return DEFAULT_DISK;
  return parseSize(parseMountPoint('rootfs', rootfs).values['size'] ?? '') || DEFAULT_DISK;
}

export async function config(verb: Verb): Promise<number> {
  const { host, vmid, io, call } = verb;
  const snapshot = text(verb, 'snapshot');
  if (snapshot !== undefined && flag(verb, 'current')) {
    const reason = "cannot use 'snapshot' parameter with 'current'";
    throw parameterError(call, { snapshot: reason, current: reason });
  }
  const loaded = loadConfig(host, vmid, io.err);
  const now = flag(verb, 'current') ? loaded : mergedView(loaded);
  const section = snapshot === undefined ? now : requireSnapshot(loaded, snapshot);
  verifyResult(section, call.usage);
  printSection(section, (line) => io.out(perlBytes(line)));
  return 0;
}

/** Upstream checks its own answer too: a config with a value of the wrong type cannot be shown. */
function verifyResult(section: GuestSection, usage: string): void {
  const errors: FieldErrors = {};
  for (const [key, value] of section.values) {
    const property = configProperty(key);
    if (property?.type === 'integer' || property?.type === 'number')
      checkValue(value, { type: property.type }, { path: key, errors });
  }
  if (Object.keys(errors).length > 0)
    throw new CallError(`${new FieldError('400 Result verification failed', errors).message}${usage}`);
}

function printSection(section: GuestSection, out: (line: string) => void): void {
  for (const key of [...section.values.keys()].sort()) {
    const value = section.values.get(key) ?? '';
    out(`${key}: ${key === 'description' ? encodeText(value) : value}\n`);
  }
  for (const [key, value] of section.raw) out(`${key}: ${value}\n`);
}

export async function pending(verb: Verb): Promise<number> {
  const loaded = loadConfig(verb.host, verb.vmid, verb.io.err);
  const out = (line: string): void => verb.io.out(perlBytes(line));
  const deleted = pendingDeletes(loaded);
  const waiting = new Set(pendingKeys(loaded));
  const shown = (key: string, value: string): string => (key === 'description' ? encodeText(value) : value);
  for (const key of [...new Set([...loaded.values.keys(), ...waiting])].sort()) {
    const current = loaded.values.get(key);
    const next = loaded.pending.values.get(key);
    if (current !== undefined) out(`${deleted.has(key) ? 'del' : 'cur'} ${key}: ${shown(key, current)}\n`);
    if (waiting.has(key) && !(current !== undefined && deleted.has(key)))
      out(`new ${key}: ${shown(key, next ?? '')}\n`);
  }
  return 0;
}
