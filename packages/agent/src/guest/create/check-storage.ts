import { formatSize } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { freeBytes } from '@pxmgr/kit/fs/free-bytes';
import { readStorageRows } from '../../host/rrd.ts';
import { isUsable, readStorages, type StorageDefinition } from '../../host/storage-cfg.ts';
import { type VolumeParts, volumesOf } from '../volumes.ts';

export interface StorageWish {
  readonly vmid: number;
  readonly storages: readonly string[];
  /** What the image or template unpacks to. */
  readonly contentBytes: number;
}

/**
 * Every storage is there, holds containers, has room, and no volume of an earlier guest with this id: an undo could
 * not tell that one from its own. Errors: PXM_STORAGE_NOT_FOUND, PXM_STORAGE_DISABLED, PXM_INPUT_INVALID,
 * PXM_VMID_TAKEN, PXM_STORAGE_FULL, PXM_STORAGE_SILENT.
 */
export async function checkStorages(parts: VolumeParts, wish: StorageWish): Promise<void> {
  for (const id of wish.storages) {
    const storage = findStorage(parts, id);
    const [left] = await volumesOf(parts, id, wish.vmid);
    if (left !== undefined) {
      throw new PxmError('PXM_VMID_TAKEN', { vmid: String(wish.vmid), owner: `volume ${left} of an earlier guest` });
    }
    const free = await freeOn(parts, storage);
    // A sparse root file system may be larger than the storage; the image's content may not.
    if (free === undefined || free >= wish.contentBytes) continue;
    const [needed, available] = [formatSize(wish.contentBytes), formatSize(free)];
    throw new PxmError('PXM_STORAGE_FULL', { storage: id, node: parts.node, needed, available });
  }
}

function findStorage({ paths, node }: VolumeParts, id: string): StorageDefinition {
  const storage = readStorages(paths).find((one) => one.id === id);
  if (storage === undefined) throw new PxmError('PXM_STORAGE_NOT_FOUND', { storage: id, node });
  if (!isUsable(storage, node)) throw new PxmError('PXM_STORAGE_DISABLED', { storage: id, node });
  if (storage.content.has('rootdir')) return storage;
  const problems = `storage ${id} does not hold containers (content rootdir)`;
  throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems });
}

/** undefined when nobody knows: then Proxmox finds out. Directories are asked at once, others through pvestatd's figures. */
async function freeOn({ paths, node }: VolumeParts, storage: StorageDefinition): Promise<number | undefined> {
  if (storage.type === 'dir' && storage.path !== undefined) {
    return await paths.look(`storage ${storage.id}`, storage.path, (real) => freeBytes(real).catch(() => undefined));
  }
  const row = readStorageRows(paths, node).get(storage.id);
  return row === undefined ? undefined : Number(row.totalBytes - row.usedBytes);
}
