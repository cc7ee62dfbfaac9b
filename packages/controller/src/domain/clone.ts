/** Clones: what is wrong with a wish for one, and what the clone takes from the node. Pure. */
import { parseGuestName, parseSnapshotName, parseStorageId, parseVmid } from '@pxmgr/contract';
import { type ContainerDocument, ContainerSpec, type MountPoint } from '@pxmgr/contract/common';
import type { CloneAction } from '@pxmgr/contract/controller';
import type { Complain } from './complaint.ts';

/** What can be said without the source. */
export function checkClone({ name, vmid, snapshot, storage }: CloneAction, complain: Complain): void {
  const named = parseGuestName(name);
  if (!named.ok) complain(`name "${name}"`, named.reason);
  const id = vmid === 0 ? undefined : parseVmid(vmid);
  if (id?.ok === false) complain(`vmid ${vmid}`, id.reason);
  const of = snapshot === '' ? undefined : parseSnapshotName(snapshot);
  if (of?.ok === false) complain(`snapshot "${snapshot}"`, of.reason);
  const where = storage === '' ? undefined : parseStorageId(storage);
  if (where?.ok === false) complain(`storage "${storage}"`, where.reason);
}

/** Only a template can share its data with its clones, and it has no snapshots. */
export function isFullClone({ full, snapshot }: CloneAction, source: ContainerDocument): boolean {
  return full || snapshot !== '' || !source.template;
}

/** The clone as placement and the reservation see it. It gets no devices; what it shares takes no room. */
export function cloneSpec(source: ContainerDocument, { name, storage, full }: CloneAction): ContainerSpec {
  const bytes = (point: MountPoint | undefined): bigint => (full ? (point?.sizeBytes ?? 0n) : 0n);
  const placeOf = (point: MountPoint | undefined): string => storage || storageOf(point?.volume ?? '');
  const root = source.mountPoints.find(({ key }) => key === 'rootfs');
  const volumes = source.mountPoints.filter((point) => point !== root && storageOf(point.volume) !== '');
  const { cores, memoryBytes, swapBytes, onBoot, unprivileged, tags, description } = source;
  return ContainerSpec.fromPartial({
    name,
    cores,
    memoryBytes,
    swapBytes,
    onBoot,
    tags,
    description,
    privileged: !unprivileged,
    storage: placeOf(root),
    rootfsBytes: bytes(root),
    mounts: volumes.map((point) => ({
      target: point.target,
      readOnly: point.readOnly,
      backup: point.backup,
      source: { $case: 'volume', value: { storage: placeOf(point), sizeBytes: bytes(point) } },
    })),
  });
}

/** Empty for a directory or a device of the node. */
function storageOf(volume: string): string {
  return volume.startsWith('/') ? '' : volume.slice(0, Math.max(0, volume.indexOf(':')));
}
