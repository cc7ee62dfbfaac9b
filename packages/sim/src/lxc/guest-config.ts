/**
 * The LXC configuration of one guest, from its Proxmox VE configuration: the same lines pve-container src/PVE/LXC.pm
 * (update_lxc_config) writes, in words this machine's older LXC understands. Differences: AppArmor and seccomp lines
 * are left out, `lxc.environment.runtime` becomes `lxc.environment`, cgroup v1 names are used on a v1 machine, the
 * entrypoint is given as words (entry-words.ts), and files named by in-host paths are staged (staging.ts). LXC before 7
 * ignores lxc.init.groups in a guest with an id map.
 */
import { existsSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Host } from '../host/host.ts';
import { parsePropertyString } from '../schema/value.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { type Stage, stagedPath } from './staging.ts';

export interface ConfigInput {
  readonly host: Host;
  readonly vmid: number;
  readonly config: GuestConfig;
  readonly unprivileged: boolean;
  /** Lines of network.ts. */
  readonly network: readonly string[];
}

export interface ConfigOutput {
  readonly lines: readonly string[];
  readonly stages: readonly Stage[];
}

const MAPPED_ROOT = 100_000;
const INCLUDE = '/usr/share/lxc/config';

/** Throws Error with upstream's text when a device is missing. */
export function lxcConfigOf(input: ConfigInput): ConfigOutput {
  const { config, vmid } = input;
  const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const lines = [`lxc.include = ${INCLUDE}/common.conf`];
  if (isMapped(input)) lines.push(`lxc.include = ${INCLUDE}/userns.conf`);
  lines.push(
    'lxc.monitor.unshare = 1',
    ...apparmorLines(),
    'lxc.environment = TERM=linux',
    `lxc.uts.name = ${config.values.get('hostname') ?? `CT${vmid}`}`,
    `lxc.tty.max = ${config.values.get('tty') ?? '2'}`,
  );
  if (isMapped(input) && !hasOwnMap(config))
    lines.push(...['u', 'g'].map((kind) => `lxc.idmap = ${kind} 0 ${MAPPED_ROOT} 65536`));
  // The distribution's include makes /run a tmpfs without making the directory (lxc config/templates/alpine.common.conf).
  if (config.values.get('ostype') === 'alpine')
    lines.push('lxc.mount.entry = run run tmpfs rw,nodev,relatime,mode=755 0 0');
  const entrypoint = config.values.get('entrypoint');
  if (entrypoint !== undefined && entrypoint !== '/sbin/init')
    lines.push('lxc.mount.entry = shm dev/shm tmpfs rw,nosuid,nodev,create=dir 0 0');
  lines.push(...memoryLines(config, isV2), `lxc.rootfs.path = dir:${stagedPath(vmid, 'rootfs')}`);
  lines.push(...input.network);
  for (const item of (config.values.get('env') ?? '').split('\0').filter((text) => text !== ''))
    lines.push(`lxc.environment = ${item}`);
  const stages: Stage[] = [];
  lines.push(...deviceLines(input, stages), ...rawLines(input, { stages, isV2 }));
  if (!config.raw.some(([key]) => key === 'lxc.console.logfile'))
    lines.push(`lxc.console.logfile = ${input.host.path(`/var/log/lxc/${vmid}.log`)}`);
  return { lines, stages };
}

/** The profile of the machine's LXC package would forbid the staged mounts; a kernel without AppArmor takes no line. */
export function apparmorLines(): string[] {
  return existsSync('/sys/kernel/security/apparmor') ? ['lxc.apparmor.profile = unconfined'] : [];
}

function hasOwnMap(config: GuestConfig): boolean {
  return config.raw.some(([key]) => key === 'lxc.idmap');
}

function isMapped(input: ConfigInput): boolean {
  return input.unprivileged || hasOwnMap(input.config);
}

function memoryLines(config: GuestConfig, isV2: boolean): string[] {
  const bytes = Number(config.values.get('memory') ?? '512') * 1024 * 1024;
  if (!isV2) return existsSync('/sys/fs/cgroup/memory') ? [`lxc.cgroup.memory.limit_in_bytes = ${bytes}`] : [];
  // high is 1016/1024 of max (pve-container src/PVE/LXC/Config.pm calculate_memory_constraints).
  const swapBytes = Number(config.values.get('swap') ?? '512') * 1024 * 1024;
  return [
    `lxc.cgroup2.memory.max = ${bytes}`,
    `lxc.cgroup2.memory.high = ${Math.floor((bytes * 1016) / 1024)}`,
    `lxc.cgroup2.memory.swap.max = ${swapBytes}`,
  ];
}

function deviceLines(input: ConfigInput, stages: Stage[]): string[] {
  const lines: string[] = [];
  for (const key of [...input.config.values.keys()].filter((name) => /^dev\d+$/.test(name)).sort()) {
    const device = parsePropertyString('lxc.dev', input.config.values.get(key) ?? '');
    const path = device['path'] ?? '';
    const node = deviceAt(input.host, path);
    const shift = isMapped(input) ? MAPPED_ROOT : 0;
    const target = `staged/${key}`;
    stages.push({
      kind: 'device',
      target,
      ...node,
      uid: Number(device['uid'] ?? '0') + shift,
      gid: Number(device['gid'] ?? '0') + shift,
      mode: device['mode'] ?? '0660',
    });
    lines.push(`lxc.mount.entry = ${stagedPath(input.vmid, target)} ${path.slice(1)} none bind,create=file 0 0`);
    if (shift === 0) lines.push(`lxc.cgroup.devices.allow = ${node.type} ${node.major}:${node.minor} rwm`);
  }
  return lines;
}

function deviceAt(host: Host, path: string): { type: 'b' | 'c'; major: number; minor: number } {
  const stat = statInHost(host, path);
  if (stat === undefined) throw new Error(`Device ${path} does not exist`);
  if (!stat.isBlockDevice() && !stat.isCharacterDevice()) throw new Error(`${path} is not a device`);
  const { rdev } = stat;
  return {
    type: stat.isBlockDevice() ? 'b' : 'c',
    major: (rdev >> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00),
  };
}

/** Follows links as the node would: an absolute target starts at the host's root, not at this machine's. */
function statInHost(host: Host, path: string): Stats | undefined {
  let at = path;
  for (let links = 0; links < 40; links += 1) {
    const stat = statSync(dirname(host.path(at)), { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const target = linkTarget(host.path(at));
    if (target === undefined) return statSync(host.path(at), { throwIfNoEntry: false });
    at = target.startsWith('/') ? target : normalize(join(dirname(at), target));
  }
  return undefined;
}

function linkTarget(real: string): string | undefined {
  try {
    return readlinkSync(real);
  } catch {
    return undefined;
  }
}

const DROPPED =
  /^lxc\.(apparmor|seccomp|selinux|environment\.hooks|cgroup\.relative|cgroup\.dir|monitor\.unshare|rootfs\.path)/;
const HOST_FILE = /^lxc\.(console\.logfile|log\.file|include|hook\.(pre-start|start-host|stop|post-stop|destroy))$/;
/** Hooks that run inside the guest's user namespace, which cannot reach a file in a closed directory. */
const MAPPED_HOOK = /^lxc\.hook\.(pre-mount|mount|autodev|start)$/;

function rawLines(input: ConfigInput, to: { stages: Stage[]; isV2: boolean }): string[] {
  return input.config.raw.flatMap(([key, value], index) => rawLine(input, { key, value, index }, to));
}

function rawLine(
  input: ConfigInput,
  line: { key: string; value: string; index: number },
  to: { stages: Stage[]; isV2: boolean },
): string[] {
  const { key, value } = line;
  if (DROPPED.test(key)) return [];
  if (HOST_FILE.test(key)) return [`${key} = ${input.host.path(value)}`];
  if (MAPPED_HOOK.test(key)) {
    const target = `staged/hook${line.index}`;
    to.stages.push({ kind: 'copy', source: input.host.path(value), target });
    return [`${key} = ${stagedPath(input.vmid, target)}`];
  }
  if (key === 'lxc.mount.entry' && value.startsWith('/')) return mountEntry(input, line, to.stages);
  if (key.startsWith('lxc.cgroup2.') && !to.isV2)
    return key.startsWith('lxc.cgroup2.devices.') ? [`${key.replace('cgroup2', 'cgroup')} = ${value}`] : [];
  return [`${key} = ${value}`];
}

function mountEntry(input: ConfigInput, line: { value: string; index: number }, stages: Stage[]): string[] {
  const [source = '', ...rest] = line.value.split(/\s+/);
  const real = input.host.path(source);
  if (!existsSync(real))
    return [`lxc.mount.entry = ${stagedPath(input.vmid, `staged/absent${line.index}`)} ${rest.join(' ')}`];
  const target = `staged/mount${line.index}`;
  stages.push({ kind: 'bind', source: real, target, readOnly: false });
  return [`lxc.mount.entry = ${stagedPath(input.vmid, target)} ${rest.join(' ')}`];
}
