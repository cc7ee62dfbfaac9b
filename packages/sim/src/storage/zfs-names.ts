/** Names of a zfspool storage's datasets. */
import type { Storage } from '../text/storage-cfg.ts';
import { parseVolumeName } from './volume-names.ts';

export function poolName(storage: Storage): string {
  return storage.options['pool'] ?? 'rpool';
}

export function datasetName(storage: Storage, volname: string): string {
  return `${poolName(storage)}/${parseVolumeName('zfspool', volname).name}`;
}
