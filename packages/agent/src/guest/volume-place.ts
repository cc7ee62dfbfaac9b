import type { Runner } from '@pxmgr/kit/exec/command';
import { readStorages, type StorageDefinition } from '../host/storage-cfg.ts';
import { listDatasets } from '../zfs/dataset.ts';
import type { VolumeParts } from './volumes.ts';

/** Where a guest volume's files can be looked at. */
export type Place =
  | { readonly kind: 'folder' | 'device'; readonly path: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** A linked clone names its base before its own dataset (proxmox/pve-storage src/PVE/Storage/ZFSPoolPlugin.pm). */
export function datasetOfVolume(pool: string, volumeId: string): string {
  return `${pool}/${volumeId.slice(volumeId.search(/[:/][^:/]*$/) + 1)}`;
}

const DIRECTORIES = new Set(['dir', 'nfs', 'cifs']);

/** Without mounting or activating anything. */
export async function placeOf(parts: VolumeParts, volumeId: string): Promise<Place> {
  const [id = '', name = ''] = volumeId.split(/:(.*)/s);
  const storage = readStorages(parts.paths).find((one) => one.id === id);
  if (storage === undefined) return { kind: 'unknown', reason: `storage ${id} is not defined` };
  if (DIRECTORIES.has(storage.type) && storage.path !== undefined) {
    const path = parts.paths.at(`${storage.path}/images/${name}`);
    return { kind: name.endsWith('.subvol') ? 'folder' : 'device', path };
  }
  if (storage.type === 'zfspool') return await datasetFolder(parts, datasetOfVolume(storage.pool ?? '', volumeId));
  if (storage.type === 'lvm' || storage.type === 'lvmthin') return logicalVolume(parts, storage, name);
  return { kind: 'unknown', reason: `volumes of type ${storage.type} cannot be looked at from here` };
}

async function datasetFolder(parts: VolumeParts, name: string): Promise<Place> {
  const runner: Pick<Runner, 'run'> = { run: parts.run };
  const dataset = (await listDatasets(runner as Runner)).find((one) => one.name === name);
  if (dataset?.isMounted === true && dataset.mountpoint.startsWith('/'))
    return { kind: 'folder', path: parts.paths.at(dataset.mountpoint) };
  return { kind: 'unknown', reason: `dataset ${name} is not mounted` };
}

function logicalVolume({ paths }: VolumeParts, storage: StorageDefinition, name: string): Place {
  const path = `/dev/${storage.options.get('vgname') ?? ''}/${name}`;
  if (paths.exists(path)) return { kind: 'device', path: paths.at(path) };
  return { kind: 'unknown', reason: `${path} is not active` };
}
