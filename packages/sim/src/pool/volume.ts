/** Sizes of volumes (openzfs/zfs lib/libzfs/libzfs_dataset.c zvol_volsize_to_reservation, cmd/zfs/zfs_main.c zfs_do_create). */
import type { DatasetRecord } from './state.ts';

const BLOCK = 16_384;
const POINTERS_PER_BLOCK = 1024;
const INDIRECT_BLOCK = 131_072;

export function blockSize({ properties }: Pick<DatasetRecord, 'properties'>): number {
  return Number(properties['volblocksize'] ?? BLOCK);
}

/** Up to the next block. */
export function roundedVolume(dataset: Pick<DatasetRecord, 'properties'>, bytes: number): number {
  const block = blockSize(dataset);
  return Math.ceil(bytes / block) * block;
}

/** What a volume that is not sparse reserves: its size and the metadata for it, written twice. */
export function volumeReservation(dataset: Pick<DatasetRecord, 'properties'>): number {
  const size = Number(dataset.properties['volsize'] ?? '0');
  let blocks = Math.floor(size / blockSize(dataset));
  let metadata = 7;
  while (blocks > 1) {
    blocks = Math.floor((blocks + POINTERS_PER_BLOCK - 1) / POINTERS_PER_BLOCK);
    metadata += blocks;
  }
  return size + metadata * 2 * INDIRECT_BLOCK;
}
