/** Which storage takes the root file system and the new volumes, and why none does. */
import { formatSize } from '@pxmgr/contract';
import type { Reason } from '@pxmgr/contract/controller';
import type { PoolClaim } from '../domain/reservation.ts';
import type { StorageView } from '../domain/snapshot.ts';
import { poolRoom } from './capacity.ts';
import { refusal, type Trial } from './reason.ts';

/** Content type a storage must have for container volumes, and for archives that containers are made of. */
export const ROOT_CONTENT = 'rootdir';
export const ARCHIVE_CONTENT = 'vztmpl';

export interface StorageFit {
  readonly storage: StorageView | undefined;
  /** Bytes per storage, the chosen one included. */
  readonly pools: readonly PoolClaim[];
}

/** Cheap snapshots and clones first; of one kind the one with most room wins. */
const TYPE_ORDER: Readonly<Record<string, number>> = {
  zfspool: 0,
  lvmthin: 1,
  btrfs: 1,
  rbd: 2,
  lvm: 3,
  dir: 4,
  cephfs: 5,
  nfs: 6,
  cifs: 6,
};

/** Values of `typeOrder`: 0 to 6. */
export const TYPE_RANKS = 7;

export function typeOrder(storage: StorageView): number {
  return TYPE_ORDER[storage.type] ?? 5;
}

/** Appends to `reasons` what does not fit. */
export function fitStorage(search: Trial): StorageFit {
  const { ask } = search;
  const named = new Map<string, number>();
  let main = ask.rootfsBytes;
  for (const volume of ask.volumes) {
    if (volume.storage === '') main += volume.bytes;
    else named.set(volume.storage, (named.get(volume.storage) ?? 0) + volume.bytes);
  }
  for (const [id, bytes] of named) if (id !== ask.storage) checkNamed(id, bytes, search);
  const extra = (id: string): number => named.get(id) ?? 0;
  const storage =
    ask.storage === ''
      ? chooseStorage(main, extra, search)
      : checkNamed(ask.storage, main + extra(ask.storage), search);
  if (storage !== undefined) named.set(storage.id, extra(storage.id) + main);
  return { storage, pools: [...named].map(([id, bytes]) => ({ storage: id, bytes })) };
}

function checkNamed(id: string, bytes: number, { node, held, reasons }: Trial): StorageView | undefined {
  const storage = node.storages.get(id);
  if (storage === undefined || !storage.usable) {
    const found = storage === undefined ? 'not there' : 'disabled or not available';
    reasons.push(refusal('storage', `storage ${id} is ${found}`, { wanted: id, found }));
    return undefined;
  }
  if (!storage.content.includes(ROOT_CONTENT)) {
    const found = storage.content.join(',');
    reasons.push(
      refusal('storage_content', `storage ${id} does not take containers (content ${found === '' ? 'none' : found})`, {
        wanted: ROOT_CONTENT,
        found,
      }),
    );
    return undefined;
  }
  const { free, promised } = poolRoom(storage, held);
  if (free < bytes) reasons.push(noSpace(id, bytes, { free, promised }));
  return storage;
}

function noSpace(id: string, bytes: number, left: { free: number; promised: number }): Reason {
  const [wanted, found] = [formatSize(bytes), formatSize(left.free)];
  const promised = left.promised > 0 ? ` (${formatSize(left.promised)} promised to others)` : '';
  return refusal('pool_space', `storage ${id} has ${found} free, ${wanted} wanted${promised}`, { wanted, found });
}

interface Option {
  readonly storage: StorageView;
  readonly free: number;
}

function chooseStorage(
  main: number,
  extra: (id: string) => number,
  { node, held, reasons }: Trial,
): StorageView | undefined {
  let best: Option | undefined;
  let widest: Option | undefined;
  for (const storage of node.storages.values()) {
    if (!storage.usable || !storage.content.includes(ROOT_CONTENT)) continue;
    const option = { storage, free: poolRoom(storage, held, extra(storage.id)).free };
    if (isWider(option, widest)) widest = option;
    if (option.free >= main && isBetter(option, best)) best = option;
  }
  if (best !== undefined) return best.storage;
  if (widest === undefined) {
    reasons.push(refusal('storage', 'no available storage takes containers', { wanted: ROOT_CONTENT, found: 'none' }));
  } else {
    const promised = held.pools.get(widest.storage.id) ?? 0;
    reasons.push(noSpace(widest.storage.id, main, { free: widest.free, promised }));
  }
  return undefined;
}

function isWider(option: Option, other: Option | undefined): boolean {
  if (other === undefined || option.free !== other.free) return other === undefined || option.free > other.free;
  return option.storage.id < other.storage.id;
}

function isBetter(option: Option, other: Option | undefined): boolean {
  const order = other === undefined ? 0 : typeOrder(option.storage) - typeOrder(other.storage);
  return order === 0 ? isWider(option, other) : order < 0;
}

/** An image that is not there yet must be pullable: a storage for archives with room for it. */
export function checkImage({ ask, node, held, reasons }: Trial): void {
  if (ask.imageReference === '' || node.images.has(ask.imageDigest)) return;
  if (!node.capabilities.has('image.pull')) {
    reasons.push(
      refusal('image', `${ask.imageReference} is not on the node and it cannot pull images (skopeo is missing)`, {
        wanted: 'image.pull',
        found: 'not there',
      }),
    );
    return;
  }
  let most = -1;
  for (const storage of node.storages.values()) {
    if (storage.usable && storage.content.includes(ARCHIVE_CONTENT))
      most = Math.max(most, poolRoom(storage, held).free);
  }
  if (most < 0)
    reasons.push(
      refusal('image', 'no available storage takes image archives', { wanted: ARCHIVE_CONTENT, found: 'none' }),
    );
  else if (most < ask.imageBytes) {
    const [wanted, found] = [formatSize(ask.imageBytes), formatSize(most)];
    reasons.push(
      refusal('image', `the image needs ${wanted}, storages for archives have ${found} free`, { wanted, found }),
    );
  }
}
