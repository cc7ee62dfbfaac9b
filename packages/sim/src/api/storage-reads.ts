/** Storages as the API tells of them: what they are (storage.cfg), and what is on them. */
import { createHash } from 'node:crypto';
import { readPveFile } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';
import { FieldError } from '../schema/property.ts';
import { propertyOf, toolSchema } from '../schema/schema-data.ts';
import { spaceOf, storageOf } from '../storage/storages.ts';
import type { SpaceRow } from '../storage/volumes.ts';
import { contentOf, isDisabled, isOnNode, isShared } from '../text/storage-cfg.ts';

/** The section of storage.cfg (pve-storage src/PVE/API2/Storage/Config.pm). */
export function storageConfig(host: Host, id: string): Record<string, unknown> {
  const storage = storageOf(host, id);
  const { type, options } = storage;
  const digest = createHash('sha1')
    .update(readPveFile(host, 'storage.cfg') ?? '')
    .digest('hex');
  const { content: _content, ...rest } = options;
  const typed = Object.entries(rest).map(([key, value]): [string, unknown] => [
    key,
    isStorageFlag(key) ? Number(value) : value,
  ]);
  return { ...Object.fromEntries(typed), content: contentOf(storage).join(','), digest, storage: id, type };
}

function isStorageFlag(key: string): boolean {
  return propertyOf(toolSchema('pvesm')['add']?.params ?? {}, key)?.type === 'boolean';
}

export function storageConfigs(host: Host, type: string | undefined): unknown[] {
  const wanted = host.storages().filter((storage) => type === undefined || storage.type === type);
  return wanted.map((storage) => storageConfig(host, storage.id));
}

export async function storageStatus(host: Host, id: string): Promise<unknown> {
  const row = (await storageRows(host)).find((one) => one['storage'] === id);
  if (row === undefined) throw new FieldError('400 Parameter verification failed.', { storage: 'No such storage.' });
  const { storage: _storage, used_fraction: _fraction, ...status } = row;
  return status;
}

export async function storageRows(host: Host): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for (const storage of host.storages().filter((s) => isOnNode(s, host.name))) {
    const space = await spaceOf(host, storage);
    rows.push({
      storage: storage.id,
      type: storage.type,
      content: contentOf(storage).join(','),
      enabled: isDisabled(storage) ? 0 : 1,
      shared: isShared(storage) ? 1 : 0,
      ...spaceFields(space),
    });
  }
  return rows;
}

function spaceFields(space: SpaceRow | undefined): Record<string, number> {
  if (space === undefined) return { active: 0, total: 0, used: 0, avail: 0 };
  const used_fraction = space.totalBytes > 0 ? space.usedBytes / space.totalBytes : 0;
  return { active: 1, used_fraction, total: space.totalBytes, used: space.usedBytes, avail: space.availableBytes };
}
