/** Volumes that an interrupted making left under an id that somebody else has by now: freed when they are nobody's, else told. */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { readStorages, type StorageDefinition } from '../../host/storage-cfg.ts';
import { readVmlist, type VmlistEntry } from '../../host/vmlist.ts';
import type { Work } from '../../operation/work.ts';
import { guestConfigPath } from '../guest-list.ts';
import type { GuestParts } from '../parts.ts';
import { freeVolumeCommand } from '../pct-args.ts';
import { volumesOf } from '../volumes.ts';
import type { HalfMade } from './half-made.ts';

/**
 * Others removed the stub, and gave its id to another guest, here or on another node. There were no volumes of that id when
 * ours was begun: what lies on storages of this node alone is ours, unless that guest is here, or came or was copied here.
 */
export async function endLeftVolumes(parts: GuestParts, made: HalfMade, work: Work): Promise<void> {
  const { vmid } = made;
  for (const storage of readStorages(parts.paths).filter(({ id }) => made.storages.includes(id))) {
    for (const volumeId of await listVolumes(parts, { storage: storage.id, vmid }, work)) {
      if (isInUse(parts, storage, volumeId)) continue;
      const claim = claimOn(parts, storage, { volumeId, vmid });
      if (claim === undefined) await freeVolume(parts, { storage: storage.id, vmid, volumeId }, work);
      else
        work.warn(
          `volume ${volumeId} on ${parts.files.node} may be left of what was interrupted: ${claim}; if nothing uses it there, remove it with "pvesm free ${volumeId}"`,
        );
    }
  }
}

/** A guest that can reach it names it. */
function isInUse(parts: GuestParts, { shared }: StorageDefinition, volumeId: string): boolean {
  return [...readVmlist(parts.paths).guests].some(
    ([vmid, entry]) =>
      (shared || entry.node === parts.files.node) &&
      configOf(parts, vmid, entry)
        .split(/[\s,]+|(?:volume|file)=/)
        .includes(volumeId),
  );
}

/** Why it may be somebody's; undefined when it is nobody's. */
function claimOn(
  parts: GuestParts,
  { id, shared }: StorageDefinition,
  { volumeId, vmid }: { readonly volumeId: string; readonly vmid: number },
): string | undefined {
  const { guests } = readVmlist(parts.paths);
  const here = { kind: 'container', node: parts.files.node } as const;
  const owner = guests.get(vmid) ?? (parts.files.text(vmid) === undefined ? undefined : here);
  if (owner === undefined) return undefined;
  const who = `${owner.kind === 'vm' ? 'VM' : 'container'} ${vmid} is on ${owner.node} by now`;
  if (!new RegExp(`[:/](?:vm|subvol)-${vmid}-disk-\\d+(?:\\.\\w+)?$`).test(volumeId))
    return `${who}, and no create gives such a name`;
  if (owner.node === parts.files.node) return `${who}, and does not name it`;
  if (shared) return `${who}, and storage ${id} is there too`;
  const namer = [...guests].find(([other, entry]) => configOf(parts, other, entry).includes(volumeId));
  if (namer !== undefined) return `${who}, and the configuration of ${namer[0]} names one like it`;
  if (/^lock:/m.test(configOf(parts, vmid, guests.get(vmid)))) return `${who}, and something is under way with it`;
  const replication = parts.paths.readIfThere('/etc/pve/replication.cfg') ?? '';
  return new RegExp(`^\\w+: ${vmid}-`, 'm').test(replication) ? `${who}, and is replicated` : undefined;
}

function configOf({ paths }: GuestParts, vmid: number, entry: VmlistEntry | undefined): string {
  return entry === undefined ? '' : (paths.readIfThere(guestConfigPath(entry.node, entry.kind, vmid)) ?? '');
}

interface Place {
  readonly storage: string;
  readonly vmid: number;
}

/** Of that id, whoever made them. */
export function listVolumes(parts: GuestParts, { storage, vmid }: Place, work: Work): Promise<string[]> {
  const run = (command: Parameters<Work['run']>[0]) => work.run(command, { stdoutAs: 'none', evenIfCancelled: true });
  return volumesOf({ paths: parts.paths, node: parts.files.node, run }, storage, vmid);
}

/** Errors: PXM_NO_QUORUM, PXM_COMMAND_FAILED. */
export async function freeVolume(
  parts: GuestParts,
  { volumeId, ...place }: Place & { readonly volumeId: string },
  work: Work,
): Promise<void> {
  // On the other side of a cut somebody may have made a guest of that id, with volumes on a storage of both.
  parts.cluster.requireQuorum();
  await work.effect({ name: 'volume.free', data: { volumeId } }, async () => {
    await work.run(freeVolumeCommand(volumeId), { evenIfCancelled: true });
    // `pvesm free` ends with 0 whatever its task did.
    if (!(await listVolumes(parts, place, work)).includes(volumeId)) return;
    throw new PxmError('PXM_COMMAND_FAILED', { tool: 'pvesm', status: '' }, { detail: `${volumeId} is still there` });
  });
}
