import { formatSize } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { freeBytes } from '@pxmgr/kit/fs/free-bytes';
import { isAbsent } from '../host/paths.ts';

/** Room to leave on the file systems we write to. */
const SPARE_BYTES = 64 * 1024 * 1024;

/** Makes the failure of the texts "needed" and "available". */
type Full = (needed: string, available: string) => PxmError;

/** Before anything is written; a folder that is not there yet is not checked. Errors: what `full` makes. */
export async function requireSpace(directory: string, bytes: number, full: Full): Promise<void> {
  const available = await freeBytes(directory).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw error;
  });
  if (available === undefined) return;
  if (available < bytes + SPARE_BYTES)
    throw full(`${formatSize(bytes)} and ${formatSize(SPARE_BYTES)} to spare`, formatSize(available));
}

export function storageFull(storage: string, node: string): Full {
  return (needed, available) => new PxmError('PXM_STORAGE_FULL', { storage, node, needed, available });
}

/** Of the agent's own disk; no storage of Proxmox is to blame. */
export function cacheFull(path: string): Full {
  return (needed, available) => {
    const hint = `free space on the file system it lies on: ${needed} are needed, ${available} are free`;
    return new PxmError('PXM_DISK_FULL', { path }, { hint });
  };
}
