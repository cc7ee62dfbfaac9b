/** Storages as the tools use them: looked up and checked with upstream's texts, volumes allocated and freed by id. */
import { join } from 'node:path';
import { switchesOf } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { contentOf, isDisabled, isOnNode, type Storage } from '../text/storage-cfg.ts';
import { backendOf } from './backend.ts';
import { storageRoot } from './dir-volumes.ts';
import { parseVolumeId, parseVolumeName, type VolumeName } from './volume-names.ts';
import type { SpaceRow, VolumeAt, VolumeBackend, VolumeRequest } from './volumes.ts';

export function storageOf(host: Host, id: string): Storage {
  const storage = host.storages().find((s) => s.id === id);
  if (storage === undefined) throw new ToolError(`storage '${id}' does not exist\n`);
  return storage;
}

/** Exists, is not disabled and is there on this node. */
export function enabledStorage(host: Host, id: string, node = host.name): Storage {
  const storage = storageOf(host, id);
  if (isDisabled(storage)) throw new ToolError(`storage '${id}' is disabled\n`);
  if (!isOnNode(storage, node)) throw new ToolError(`storage '${id}' is not available on node '${node}'\n`);
  return storage;
}

export function holdsContainers(storage: Storage): boolean {
  return contentOf(storage).includes('rootdir');
}

export interface FoundVolume {
  readonly volid: string;
  readonly storage: Storage;
  readonly volname: string;
  readonly parsed: VolumeName;
}

export function findVolume(host: Host, volid: string): FoundVolume {
  const { storage: id, volname } = parseVolumeId(volid);
  const storage = storageOf(host, id);
  return { volid, storage, volname, parsed: parseVolumeName(storage.type, volname) };
}

export async function volumeBackend(storage: Storage): Promise<VolumeBackend> {
  const backend = await backendOf(storage.type);
  if (backend === undefined)
    throw new ToolError(`storage type '${storage.type}' of '${storage.id}' is not part of this stand-in\n`);
  return backend;
}

/** undefined for a storage that is off, cannot be reached, or is of no type this stand-in has. */
export async function spaceOf(host: Host, storage: Storage): Promise<SpaceRow | undefined> {
  if (isDisabled(storage)) return undefined;
  try {
    return await (await backendOf(storage.type))?.space(host, storage);
  } catch {
    return undefined;
  }
}

/** As the switch says; how full the disk below the stand-in is, no test can rely on. */
export function isFull(host: Host, storage: Storage): boolean {
  return switchesOf(host).freeBytes?.[storage.id] === 0;
}

/** `storage:volname` of the new volume. */
export async function allocVolume(host: Host, storage: Storage, request: VolumeRequest): Promise<string> {
  const backend = await volumeBackend(storage);
  enabledStorage(host, storage.id);
  return `${storage.id}:${await backend.alloc(host, storage, request)}`;
}

export async function freeVolume(host: Host, volid: string): Promise<void> {
  const { storage, volname } = findVolume(host, volid);
  enabledStorage(host, storage.id);
  await (await volumeBackend(storage)).destroy({ host, storage, volname });
}

/** Directory with the files of a guest volume; throws when the volume is gone. */
export async function volumeDirectory(host: Host, volid: string): Promise<string> {
  const { storage, volname } = findVolume(host, volid);
  enabledStorage(host, storage.id);
  const backend = await volumeBackend(storage);
  if (!(await backend.exists({ host, storage, volname })))
    throw new ToolError(backend.missingText?.({ host, storage, volname }) ?? `volume '${volid}' does not exist\n`);
  return backend.directory({ host, storage, volname });
}

/** Only a volume's newest snapshot can be gone back to (pve-storage, volume_rollback_is_possible of the plugins). */
export async function requireNewestSnapshot(
  at: VolumeAt & { readonly backend: VolumeBackend },
  name: string,
): Promise<void> {
  const volid = `${at.storage.id}:${at.volname}`;
  const newer = await at.backend.newerSnapshots(at, name);
  if (newer === undefined) throw new ToolError(`can't rollback, snapshot '${name}' does not exist on '${volid}'\n`);
  if (newer.length > 0) throw new ToolError(`can't rollback, '${name}' is not most recent snapshot on '${volid}'\n`);
}

const FOLDERS: Readonly<Record<string, string>> = {
  vztmpl: 'template/cache',
  iso: 'template/iso',
  snippets: 'snippets',
  backup: 'dump',
  import: 'import',
};

/** Folder of a content type on a directory-like storage, honouring `content-dirs`; undefined for other storages. */
export function contentFolder(storage: Storage, kind: string): string | undefined {
  if (storage.options['path'] === undefined && storage.type !== 'dir') return undefined;
  const override = (storage.options['content-dirs'] ?? '')
    .split(',')
    .map((pair) => pair.split('='))
    .find(([word]) => word === kind)?.[1];
  return join(storageRoot(storage), override ?? FOLDERS[kind] ?? kind);
}

/** In-host path of any volume, not checked for existence. */
export async function volumePath(host: Host, volid: string): Promise<string> {
  const { storage, volname, parsed } = findVolume(host, volid);
  if (parsed.kind === 'images') return (await volumeBackend(storage)).inHostPath({ host, storage, volname });
  return join(contentFolder(storage, parsed.kind) ?? '/', parsed.name);
}
