/** `rootfs`, `mpN` and `unusedN` values: what they point to (pve-container src/PVE/LXC/Config.pm, the volume parts). */

import { ToolError } from '../call/tool.ts';
import type { PropertyValues } from '../schema/property-split.ts';
import { printPropertyString } from '../schema/property-string.ts';
import { parsePropertyString } from '../schema/value.ts';
import type { GuestSection } from '../text/guest-config.ts';

export interface MountPoint {
  readonly key: string;
  readonly kind: 'volume' | 'bind' | 'device';
  /** Volume id, or path. */
  readonly volume: string;
  /** Path in the guest; `/` for the root file system, '' for an unused volume. */
  readonly target: string;
  readonly values: PropertyValues;
}

/** `storage:number`: a volume still to be made. */
const NEW_VOLUME = /^([^:\s]+):(\d+(?:\.\d+)?)$/;

export function newVolume(volume: string): { storage: string; gib: number } | undefined {
  const parts = NEW_VOLUME.exec(volume);
  return parts?.[1] === undefined ? undefined : { storage: parts[1], gib: Number(parts[2]) };
}

function formatOf(key: string): string {
  return key === 'rootfs' ? 'lxc.rootfs' : /^unused\d+$/.test(key) ? 'lxc.unused' : 'lxc.mp';
}

export function isVolumeKey(key: string): boolean {
  return key === 'rootfs' || /^mp\d+$/.test(key);
}

export function parseMountPoint(key: string, text: string): MountPoint {
  const values = parsePropertyString(formatOf(key), text);
  const volume = values['volume'] ?? '';
  const kind = volume.startsWith('/dev/') ? 'device' : volume.startsWith('/') ? 'bind' : 'volume';
  return { key, kind, volume, target: key === 'rootfs' ? '/' : (values['mp'] ?? ''), values };
}

export function printMountPoint(key: string, values: PropertyValues): string {
  return printPropertyString(formatOf(key), values);
}

/** Root file system first, then mount points by number; entries that cannot be read are left out. */
export function mountPoints(section: GuestSection, options: { withUnused?: boolean } = {}): MountPoint[] {
  const keys = [...section.values.keys()].filter(
    (key) => isVolumeKey(key) || (options.withUnused === true && /^unused\d+$/.test(key)),
  );
  const found: MountPoint[] = [];
  for (const key of keys.sort((a, b) => rank(a) - rank(b))) {
    try {
      found.push(parseMountPoint(key, section.values.get(key) ?? ''));
    } catch {
      // upstream parses with "no error" here too
    }
  }
  return found;
}

function rank(key: string): number {
  const number = Number(/\d+$/.exec(key)?.[0] ?? 0);
  return key === 'rootfs' ? -1 : key.startsWith('mp') ? number : 1000 + number;
}

/** Volume ids of the root file system and mount points. */
export function usedVolumes(section: GuestSection): string[] {
  return mountPoints(section)
    .filter((point) => point.kind === 'volume' && point.volume.includes(':'))
    .map((point) => point.volume);
}

export function isVolumeInUse(
  config: GuestSection & { pending: GuestSection; snapshots: ReadonlyMap<string, GuestSection> },
  volume: string,
  without?: string,
): boolean {
  const inSection = (section: GuestSection): boolean =>
    mountPoints(section).some((point) => point.volume === volume && (section !== config || point.key !== without));
  return inSection(config) || inSection(config.pending) || [...config.snapshots.values()].some(inSection);
}

const MAX_UNUSED = 256;

/** The lowest free `unusedN`, or the one that holds the volume already. */
export function addUnused(section: GuestSection, volume: string): string {
  const keys = Array.from({ length: MAX_UNUSED }, (_, n) => `unused${n}`);
  const held = keys.find((key) => section.values.get(key) === volume);
  const key = held ?? keys.find((one) => !section.values.has(one));
  if (key === undefined) throw new ToolError('Too many unused volumes - please delete them first.\n');
  section.values.set(key, volume);
  return key;
}
