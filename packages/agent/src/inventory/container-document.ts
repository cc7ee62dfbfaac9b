/** A container's configuration and state as its document. Pure. */
import type { ContainerDocument, GuestDevice, GuestNetwork, GuestSnapshot, MountPoint } from '@pxmgr/contract/common';
import { type DeviceSlot, deviceSlots, pendingDeletes } from '../guest/change/device-slots.ts';
import type { ConfigSection, GuestConfig } from '../guest/config-file.ts';
import { guestUidOf } from '../guest/config-file.ts';
import type { GuestRecord } from '../guest/guest-list.ts';
import { parsePropertyString } from '../guest/property-string.ts';
import type { Mask } from './mask.ts';
import { sortedRecord } from './stable-value.ts';
import { parseStoredSize, splitTags, wholeNumber } from './stored-value.ts';

const MIB = 1024n * 1024n;
/** Defaults of pct: proxmox/pve-container src/PVE/LXC/Config.pm. */
const DEFAULT_MEMORY_MIB = 512;

/** Entries whose key is `prefix` and a number, in number order. */
function numbered(config: ConfigSection, prefix: string): [key: string, value: string][] {
  const pattern = new RegExp(`^${prefix}(\\d+)$`);
  return [...config.entries]
    .filter(([key]) => pattern.test(key))
    .sort(([a], [b]) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)));
}

function mountPoints(config: ConfigSection): MountPoint[] {
  const rootfs = config.entries.get('rootfs');
  const all: [string, string][] = [
    ...(rootfs === undefined ? [] : ([['rootfs', rootfs]] as [string, string][])),
    ...numbered(config, 'mp'),
  ];
  return all.map(([key, value]) => {
    const parts = parsePropertyString(value, 'volume');
    return {
      key,
      volume: parts.get('volume') ?? '',
      target: key === 'rootfs' ? '/' : (parts.get('mp') ?? ''),
      sizeBytes: parseStoredSize(parts.get('size')),
      readOnly: parts.get('ro') === '1',
      backup: key === 'rootfs' || parts.get('backup') === '1',
    };
  });
}

function networks(config: ConfigSection): GuestNetwork[] {
  return numbered(config, 'net').map(([key, value]) => {
    const parts = parsePropertyString(value);
    return {
      key,
      name: parts.get('name') ?? '',
      bridge: parts.get('bridge') ?? '',
      mac: (parts.get('hwaddr') ?? '').toUpperCase(),
      ipv4: parts.get('ip') ?? '',
      ipv6: parts.get('ip6') ?? '',
      vlan: wholeNumber(parts.get('tag')),
    };
  });
}

/** Also those that wait for a restart: they are promised to the guest, or not free yet. */
function devices(config: GuestConfig): GuestDevice[] {
  const waiting: Readonly<Record<DeviceSlot['state'], string>> = { now: '', attach: 'attach', detach: 'detach' };
  return deviceSlots(config).map(({ key, path, state }) => {
    const value = (state === 'attach' ? config.pending : config).entries.get(key) ?? '';
    const parts = parsePropertyString(value, 'path');
    return {
      key,
      path,
      gid: wholeNumber(parts.get('gid')),
      mode: parts.get('mode') ?? '0660',
      pending: waiting[state],
    };
  });
}

/** Oldest first; the age in seconds is all that Proxmox keeps. */
function snapshots(config: GuestConfig): GuestSnapshot[] {
  const all = [...config.snapshots].map(([name, { entries, description }]) => ({
    name,
    createdAt: new Date(wholeNumber(entries.get('snaptime'), { digits: 10 }) * 1000),
    parent: entries.get('parent') ?? '',
    description,
    state: entries.get('snapstate') ?? '',
  }));
  return all.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (a.name < b.name ? -1 : 1));
}

/** `NAME=value` with the value masked. */
function maskItem(item: string, mask: Mask): string {
  const equals = item.indexOf('=');
  return equals < 0 ? item : `${item.slice(0, equals)}=${mask(item.slice(equals + 1))}`;
}

/** Every key as stored; repeated raw keys are joined by line feeds, environment values are masked. */
function storedConfig(config: ConfigSection, mask: Mask): Record<string, string> {
  const all = new Map(config.entries);
  if (config.env.length > 0) all.set('env', config.env.map(([name, value]) => `${name}=${mask(value)}`).join('\n'));
  for (const [key, value] of config.raw) {
    const shown = key === 'lxc.environment' ? maskItem(value, mask) : value;
    all.set(key, all.has(key) ? `${all.get(key) ?? ''}\n${shown}` : shown);
  }
  return sortedRecord(all);
}

/** Keys that a restart would change: new values and deletions. */
function pendingKeys(config: GuestConfig): string[] {
  const set = [...config.pending.entries.keys()].filter((key) => key !== 'delete');
  const env = config.pending.env.length > 0 ? ['env'] : [];
  return [...new Set([...set, ...env, ...pendingDeletes(config)])].sort();
}

function memoryOf(text: string | undefined): bigint {
  return BigInt(wholeNumber(text, { unknown: DEFAULT_MEMORY_MIB })) * MIB;
}

/** The sizes that a restart brings: what is promised to the guest, though it runs without it. */
function pendingSizes({ pending }: GuestConfig, waiting: readonly string[]) {
  return {
    pendingMemoryBytes: waiting.includes('memory') ? memoryOf(pending.entries.get('memory')) : 0n,
    pendingCores: wholeNumber(pending.entries.get('cores')),
  };
}

/** Where a guest came from, as the agent recorded it. */
export interface GuestOrigin {
  readonly imageReference: string;
  readonly imageDigest: string;
}

export interface ContainerContext {
  readonly mask: Mask;
  /** By guest uid. */
  readonly originOf: (guestUid: string) => GuestOrigin | undefined;
}

export function containerDocument(guest: GuestRecord, context: ContainerContext): ContainerDocument {
  const { config } = guest;
  const value = (key: string): string => config.entries.get(key) ?? '';
  const guestUid = guestUidOf(config) ?? '';
  const waiting = pendingKeys(config);
  const origin = guestUid === '' ? undefined : context.originOf(guestUid);
  return {
    vmid: guest.vmid,
    // Proxmox lists a guest without a host name the same way (proxmox/pve-container src/PVE/LXC.pm vmstatus).
    name: config.entries.get('hostname') ?? `CT${guest.vmid}`,
    status: guest.isRunning ? 'running' : 'stopped',
    guestUid,
    cores: wholeNumber(value('cores')),
    memoryBytes: memoryOf(value('memory')),
    swapBytes: memoryOf(value('swap')),
    osType: value('ostype'),
    lock: value('lock'),
    template: value('template') === '1',
    unprivileged: value('unprivileged') === '1',
    onBoot: value('onboot') === '1',
    protection: value('protection') === '1',
    tags: splitTags(value('tags')),
    mountPoints: mountPoints(config),
    networks: networks(config),
    devices: devices(config),
    addresses: [...guest.addresses].sort(),
    config: storedConfig(config, context.mask),
    pending: waiting,
    ...pendingSizes(config, waiting),
    snapshots: [...config.snapshots.keys()].sort(),
    imageReference: origin?.imageReference ?? '',
    imageDigest: origin?.imageDigest ?? '',
    description: config.description,
    entrypoint: value('entrypoint'),
    snapshotDetails: snapshots(config),
  };
}
