/** Volumes of a guest made and destroyed (pve-container src/PVE/LXC.pm create_disks, destroy_disks, delete_mountpoint_volume). */
import { randomUUID } from 'node:crypto';
import { NoSpaceError, reach } from '../call/fault.ts';
import { errorText, ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { mkfsText } from '../storage/ext4.ts';
import {
  allocVolume,
  findVolume,
  freeVolume,
  holdsContainers,
  isFull,
  storageOf,
  volumeBackend,
  volumeDirectory,
  volumePath,
} from '../storage/storages.ts';
import type { GuestConfig, GuestSection } from '../text/guest-config.ts';
import { type MountPoint, mountPoints, newVolume, parseMountPoint, printMountPoint } from './mount-point.ts';

export interface DiskWork {
  readonly host: Host;
  readonly vmid: number;
  readonly log: (text: string) => void;
}

const MIB = 1024 * 1024;
const UNPRIVILEGED_BASE = 100_000;

/** First host id of the guest's map; raw lxc.idmap lines replace the default. */
export function idBase(section: GuestSection): number {
  const custom = section.raw.find(([key, value]) => key === 'lxc.idmap' && /^u\s+0\s/.test(value));
  if (custom !== undefined) return Number(custom[1].split(/\s+/)[2] ?? UNPRIVILEGED_BASE);
  return section.values.get('unprivileged') === '1' ? UNPRIVILEGED_BASE : 0;
}

/**
 * Makes every `storage:size` of `wanted` and puts the stored form of all entries into `into`. On failure the volumes
 * made so far are freed. Returns the new volume ids; `onMade` hears of each at once.
 */
export async function createDisks(
  work: DiskWork,
  wanted: ReadonlyMap<string, string>,
  options: { owner: GuestSection; into: Map<string, string> },
): Promise<string[]> {
  const made: string[] = [];
  try {
    for (const point of mountPointsOf(wanted)) {
      const size = point.kind === 'volume' ? newVolume(point.volume) : undefined;
      const values = { ...point.values };
      if (size !== undefined) {
        const volid = await allocDisk(work, size, idBase(options.owner));
        made.push(volid);
        values['volume'] = volid;
        values['size'] = String(sizeOf(size.gib));
      }
      options.into.set(point.key, printMountPoint(point.key, values));
    }
  } catch (err) {
    await destroyDisks(work, made);
    throw err;
  }
  return made;
}

/** Sizes are rounded down to whole MiB. */
function sizeOf(gib: number): number {
  return Math.trunc(gib * 1024) * MIB;
}

function mountPointsOf(wanted: ReadonlyMap<string, string>): MountPoint[] {
  const order = (key: string): number => (key === 'rootfs' ? -1 : Number(key.slice(2)));
  return [...wanted.keys()]
    .sort((a, b) => order(a) - order(b))
    .map((key) => parseMountPoint(key, wanted.get(key) ?? ''));
}

async function allocDisk(work: DiskWork, size: { storage: string; gib: number }, ownerId: number): Promise<string> {
  const storage = storageOf(work.host, size.storage);
  if (!holdsContainers(storage))
    throw new ToolError(`content type 'rootdir' is not available or configured on storage '${storage.id}'\n`);
  const sizeBytes = sizeOf(size.gib);
  const format = (await volumeBackend(storage)).containerFormat(sizeBytes);
  const volid = await allocVolume(work.host, storage, { vmid: work.vmid, format, sizeBytes, ownerId, log: work.log });
  if (format === 'raw') await makeFileSystem(work, { volid, sizeBytes, ownerId });
  return volid;
}

interface RawVolume {
  readonly volid: string;
  readonly sizeBytes: number;
  readonly ownerId: number;
}

/** A sparse file fits on a full storage; the file system in it does not, and then the file goes again. */
async function makeFileSystem(work: DiskWork, { volid, sizeBytes, ownerId }: RawVolume): Promise<void> {
  const { host } = work;
  const text = mkfsText(sizeBytes, randomUUID());
  try {
    if (isFull(host, findVolume(host, volid).storage)) throw new NoSpaceError();
    await reach(host, 'mkfs');
    work.log(text);
  } catch (err) {
    if (!(err instanceof NoSpaceError)) throw err;
    const path = await volumePath(host, volid);
    work.log(`${noSpaceLine(2)}${text.replace(/(backups stored on blocks: \n).*$/s, '$1')}${noSpaceLine(0)}`);
    work.log('Error while enabling multiple mount protection feature.\n');
    await destroyDisks(work, [volid]);
    throw new ToolError(
      `command 'mkfs.ext4 -O mmp -E 'root_owner=${ownerId}:${ownerId}' ${path}' failed: exit code 1\n`,
    );
  }
}

function noSpaceLine(sector: number): string {
  return `Warning: could not erase sector ${sector}: No space left on device\n`;
}

/** Failures are only told. */
export async function destroyDisks(work: DiskWork, volids: readonly string[]): Promise<void> {
  for (const volid of volids) {
    try {
      await freeVolume(work.host, volid);
    } catch (err) {
      work.log(`${errorText(err)}\n`);
    }
  }
}

/** Only volumes of this guest go; those of another are named and left. */
export async function deleteOwnedVolume(work: DiskWork, volid: string): Promise<void> {
  if (volid.startsWith('/')) return;
  const { parsed } = findVolume(work.host, volid);
  if (parsed.vmid !== work.vmid) {
    work.log(`ignore deletion of '${volid}', CT ${work.vmid} isn't the owner!\n`);
    return;
  }
  try {
    await freeVolume(work.host, volid);
  } catch (err) {
    // A volume that is gone already is a line of output, nothing more.
    if (!/^disk image '.*' does not exist$/.test(errorText(err))) throw err;
    work.log(`${errorText(err)}\n`);
  }
}

/** Everything the config names, unused and pending volumes too; `onDeleted` is called after each. */
export async function destroyVolumes(
  work: DiskWork,
  config: GuestConfig,
  onDeleted: () => Promise<void> = async () => undefined,
): Promise<void> {
  const points = [config, config.pending].flatMap((section) => mountPoints(section, { withUnused: true }));
  for (const volume of new Set(points.map((point) => point.volume))) {
    await deleteOwnedVolume(work, volume);
    await onDeleted();
  }
}

export interface MountedVolume {
  readonly key: string;
  readonly target: string;
  /** Directory on this machine. */
  readonly source: string;
  readonly readOnly: boolean;
  readonly kind: MountPoint['kind'];
}

/** Directories behind the root file system and the mount points; a missing one throws with upstream's text. */
export async function resolveMounts(host: Host, section: GuestSection): Promise<MountedVolume[]> {
  const found: MountedVolume[] = [];
  for (const point of mountPoints(section)) {
    const source = point.kind === 'volume' ? await volumeDirectory(host, point.volume) : host.path(point.volume);
    found.push({
      key: point.key,
      target: absolute(point.target),
      source,
      readOnly: point.values['ro'] === '1',
      kind: point.kind,
    });
  }
  return found;
}

function absolute(target: string): string {
  return target.startsWith('/') ? target : `/${target}`;
}
