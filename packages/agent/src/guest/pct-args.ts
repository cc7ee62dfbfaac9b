import { hasControlCharacters, limits } from '@pxmgr/contract';
import type { NetworkInterface } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command } from '@pxmgr/kit/exec/command';
import type { DeviceEntry } from '../device/passthrough.ts';
import { flag, propertyString } from './property.ts';

/**
 * argv of `pct`. Its option parser abbreviates, eats the next word after a bare boolean and keeps only the last of
 * repeated options (proxmox/pve-common src/PVE/JSONSchema.pm get_options): so positionals first, full option names,
 * `--option value` pairs, every boolean spelled 0 or 1.
 */
export interface NewVolumeMount {
  readonly index: number;
  readonly storage: string;
  readonly sizeBytes: number;
  readonly target: string;
  readonly readOnly: boolean;
  readonly backup: boolean;
}

export interface BindMount {
  readonly index: number;
  /** Directory inside the host. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface CreateArguments {
  readonly vmid: number;
  readonly template: string;
  readonly hostname: string;
  readonly storage: string;
  readonly rootfsBytes: number;
  readonly volumes: readonly NewVolumeMount[];
  readonly networks: readonly NetworkInterface[];
  readonly devices: readonly DeviceEntry[];
  readonly cores: number;
  readonly memoryBytes: number;
  /** 0 = none; left out, Proxmox would give 512 MiB. */
  readonly swapBytes: number;
  readonly unprivileged: boolean;
  readonly onBoot: boolean;
  readonly features: readonly string[];
  readonly tags: readonly string[];
  readonly description: string;
  readonly nameservers: readonly string[];
  readonly searchDomain: string;
  /** undefined = Proxmox detects it. */
  readonly osType: string | undefined;
  readonly architecture: string | undefined;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** Extraction of a large image on slow storage; the operation can be cancelled at any time. */
const CREATE_TIMEOUT_MS = 2 * 3_600_000;
const SET_TIMEOUT_MS = 30_000;
const DESTROY_TIMEOUT_MS = 600_000;

/** `pct create`, never with --start: a failing start would be hidden in a task of its own that nobody looks at. */
export function createCommand(wanted: CreateArguments): Command {
  const args = ['create', String(wanted.vmid), wanted.template];
  const option = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') args.push(`--${name}`, value);
  };
  option('hostname', wanted.hostname);
  option('storage', wanted.storage);
  option('rootfs', `${wanted.storage}:${gib(wanted.rootfsBytes)}`);
  for (const volume of wanted.volumes) option(`mp${volume.index}`, newVolume(volume));
  option('memory', String(Math.ceil(wanted.memoryBytes / MIB)));
  option('swap', String(Math.ceil(wanted.swapBytes / MIB)));
  option('cores', wanted.cores === 0 ? undefined : String(wanted.cores));
  for (const [index, network] of wanted.networks.entries()) option(`net${index}`, networkValue(network));
  for (const [index, device] of wanted.devices.entries()) option(`dev${index}`, deviceValue(device));
  option('unprivileged', flag(wanted.unprivileged));
  option('onboot', flag(wanted.onBoot));
  option('features', propertyString(wanted.features.map((name) => [name, true] as const)));
  option('ostype', wanted.osType);
  option('arch', wanted.architecture);
  option('tags', wanted.tags.join(';'));
  option('description', wanted.description);
  option('nameserver', wanted.nameservers.join(' '));
  option('searchdomain', wanted.searchDomain);
  return { file: 'pct', args, purpose: `create container ${wanted.vmid}`, timeoutMs: CREATE_TIMEOUT_MS };
}

export interface CloneArguments {
  readonly vmid: number;
  readonly source: number;
  readonly hostname: string;
  readonly full: boolean;
  /** Empty = the source as it is now. */
  readonly snapshot: string;
  /** Empty = where the source has its volumes. */
  readonly storage: string;
  readonly description: string;
}

/** Without `--full 1` a clone of what is no template is a full copy all the same (proxmox/pve-container src/PVE/API2/LXC.pm clone_vm). */
export function cloneCommand(wanted: CloneArguments): Command {
  const { vmid, source, hostname, full, snapshot, storage, description } = wanted;
  const args = ['clone', String(source), String(vmid), '--hostname', hostname, '--full', flag(full)];
  if (snapshot !== '') args.push('--snapname', snapshot);
  if (storage !== '') args.push('--storage', storage);
  args.push('--description', description);
  const purpose = `clone container ${source} as ${vmid}`;
  return { file: 'pct', args, purpose, timeoutMs: CREATE_TIMEOUT_MS };
}

/** Bind mounts and protection: only after the extraction, which would run through a mounted directory. */
export function setCommand(
  vmid: number,
  wanted: { binds: readonly BindMount[]; protection: boolean },
): Command | undefined {
  const args = wanted.binds.flatMap((bind) => [`--mp${bind.index}`, bindMount(bind)]);
  if (wanted.protection) args.push('--protection', '1');
  if (args.length === 0) return undefined;
  const purpose = wanted.binds.length > 0 ? `add mounts to container ${vmid}` : `protect container ${vmid}`;
  return { file: 'pct', args: ['set', String(vmid), ...args], purpose, timeoutMs: SET_TIMEOUT_MS };
}

export function startCommand(vmid: number, timeoutMs: number): Command {
  return { file: 'pct', args: ['start', String(vmid)], purpose: `start container ${vmid}`, timeoutMs };
}

export function stopCommand(vmid: number): Command {
  return { file: 'pct', args: ['stop', String(vmid)], purpose: `stop container ${vmid}`, timeoutMs: 60_000 };
}

/** A guest that does not react fails only after twice the time plus 5 s (lxc-stop, then the task's own wait). */
export function shutdownCommand(vmid: number, seconds: number, force: boolean): Command {
  const args = ['shutdown', String(vmid), '--timeout', String(seconds), '--forceStop', flag(force)];
  return { file: 'pct', args, purpose: `shut down container ${vmid}`, timeoutMs: (2 * seconds + 20) * 1000 };
}

/** Also frees volumes of that id that the configuration does not name; without the flag they could never be freed by id. */
export function destroyCommand(vmid: number): Command {
  const args = ['destroy', String(vmid), '--destroy-unreferenced-disks', '1', '--purge', '1'];
  return { file: 'pct', args, purpose: `destroy container ${vmid}`, timeoutMs: DESTROY_TIMEOUT_MS };
}

/**
 * For a guest that a create of ours made: nothing that its configuration does not name. Volumes, backup jobs and other
 * entries under its id may be those of an earlier guest; a create has made none, except on the storages it planned.
 */
export function undoCreateCommand(vmid: number): Command {
  const args = ['destroy', String(vmid), '--destroy-unreferenced-disks', '0', '--purge', '0'];
  return { file: 'pct', args, purpose: `remove the unfinished container ${vmid}`, timeoutMs: DESTROY_TIMEOUT_MS };
}

/** Removes any lock: only on a guest whose journal says that nobody else can hold it. */
export function unlockCommand(vmid: number): Command {
  return {
    file: 'pct',
    args: ['unlock', String(vmid)],
    purpose: `unlock container ${vmid}`,
    timeoutMs: SET_TIMEOUT_MS,
  };
}

export function listVolumesCommand(storage: string, vmid: number): Command {
  const args = ['list', storage, '--vmid', String(vmid)];
  return { file: 'pvesm', args, purpose: `volumes of ${vmid} on ${storage}`, timeoutMs: 30_000, readOnly: true };
}

/** The id is one that a listing gave, and a file may have any name. Errors: PXM_NAME_INVALID. */
export function freeVolumeCommand(volumeId: string): Command {
  if (hasControlCharacters(volumeId) || volumeId.startsWith('-'))
    throw new PxmError('PXM_NAME_INVALID', {
      what: 'volume',
      name: JSON.stringify(volumeId),
      reason: 'it holds control characters, or begins with a hyphen',
    });
  return { file: 'pvesm', args: ['free', volumeId], purpose: `free ${volumeId}`, timeoutMs: 120_000 };
}

/** GiB as pct wants new volumes: a plain number, fractions allowed, rounded up to a MiB. */
export function gib(bytes: number): string {
  return String(Number((Math.ceil(bytes / MIB) / (GIB / MIB)).toFixed(6)));
}

export function networkValue(network: NetworkInterface): string {
  return propertyString([
    ['name', network.name],
    ['bridge', network.bridge === '' ? undefined : network.bridge],
    ['firewall', network.firewall ? true : undefined],
    ['gw', network.gateway4 === '' ? undefined : network.gateway4],
    ['gw6', network.gateway6 === '' ? undefined : network.gateway6],
    ['hwaddr', network.mac === '' ? undefined : network.mac.toUpperCase()],
    ['ip', network.ipv4 === '' ? undefined : network.ipv4],
    ['ip6', network.ipv6 === '' ? undefined : network.ipv6],
    ['mtu', network.mtu === 0 ? undefined : network.mtu],
    ['tag', network.vlan === 0 ? undefined : network.vlan],
    ['type', 'veth'],
  ]);
}

export function deviceValue(device: DeviceEntry): string {
  if (device.gid > limits.GUEST_ID_MAX) throw new Error(`gid ${device.gid} was not checked`);
  return propertyString([
    ['path', device.path],
    ['gid', device.gid],
    ['mode', device.mode],
  ]);
}

function newVolume(volume: NewVolumeMount): string {
  return propertyString([
    ['volume', `${volume.storage}:${gib(volume.sizeBytes)}`],
    ['mp', volume.target],
    ['backup', volume.backup],
    ['ro', volume.readOnly ? true : undefined],
  ]);
}

function bindMount(bind: BindMount): string {
  return propertyString([
    ['volume', bind.source],
    ['mp', bind.target],
    ['ro', bind.readOnly ? true : undefined],
  ]);
}
