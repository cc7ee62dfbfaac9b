/** Sizes of volumes (openzfs/zfs lib/libzfs/libzfs_dataset.c zvol_volsize_to_reservation, cmd/zfs/zfs_main.c zfs_do_create). */
import type { DatasetRecord } from './state.ts';

const BLOCK = 16_384;
const POINTERS_PER_BLOCK = 1024;
const INDIRECT_BLOCK = 131_072;

/** Up to the next block. */
export function roundedVolume(dataset: Pick<DatasetRecord, 'properties'>, bytes: number): number {
  const block = Number(dataset.properties['volblocksize'] ?? BLOCK);
  return Math.ceil(bytes / block) * block;
}

/** What a volume that is not sparse reserves: its size and the metadata for it, written twice. */
export function volumeReservation({ properties }: Pick<DatasetRecord, 'properties'>): number {
  const size = Number(properties['volsize'] ?? '0');
  let blocks = Math.floor(size / Number(properties['volblocksize'] ?? BLOCK));
  let metadata = 7;
  while (blocks > 1) {
    blocks = Math.floor((blocks + POINTERS_PER_BLOCK - 1) / POINTERS_PER_BLOCK);
    metadata += blocks;
  }
  return size + metadata * 2 * INDIRECT_BLOCK;
}
