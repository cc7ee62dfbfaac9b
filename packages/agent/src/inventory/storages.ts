/** Storages with their space, and the template files that lie in them. */
import { readdir, stat, statfs } from 'node:fs/promises';
import type { StorageDocument } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { HostPaths } from '../host/paths.ts';
import { isAbsent } from '../host/paths.ts';
import type { StorageSpace } from '../host/rrd.ts';
import { readStorageRows } from '../host/rrd.ts';
import type { StorageDefinition } from '../host/storage-cfg.ts';
import { isUsable, readStorages, templateDir } from '../host/storage-cfg.ts';
import type { Collector, Observed } from './collector.ts';
import { to16Mib } from './collector.ts';

export interface StorageContext {
  readonly paths: HostPaths;
  readonly nodeName: string;
  /** Space of a dataset as last listed; for zfspool storages without a row in `.rrd`. */
  readonly datasetSpace: (pool: string) => StorageSpace | undefined;
}

/** Types whose directory lies on this host's own disks: looking at it cannot hang on a dead server. */
const LOCAL_DIRECTORY_TYPES = new Set(['dir', 'btrfs']);

async function directorySpace(paths: HostPaths, path: string): Promise<StorageSpace | undefined> {
  try {
    const { bsize, blocks, bavail } = await statfs(paths.at(path), { bigint: true });
    return { totalBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** pvestatd's figures; where it does not run, the file system or the dataset itself. Network storages are never touched. */
async function spaceOf(storage: StorageDefinition, rows: ReadonlyMap<string, StorageSpace>, context: StorageContext) {
  const row = rows.get(storage.id);
  if (row !== undefined) return row;
  if (storage.type === 'zfspool' && storage.pool !== undefined) return context.datasetSpace(storage.pool);
  if (storage.path === undefined || !LOCAL_DIRECTORY_TYPES.has(storage.type)) return undefined;
  return await directorySpace(context.paths, storage.path);
}

function documentOf(storage: StorageDefinition, space: StorageSpace | undefined, nodeName: string): StorageDocument {
  const isEnabled = isUsable(storage, nodeName);
  const total = space?.totalBytes ?? 0n;
  const used = space?.usedBytes ?? 0n;
  return {
    id: storage.id,
    type: storage.type,
    content: [...storage.content].sort(),
    path: storage.path ?? '',
    pool: storage.pool ?? '',
    shared: storage.shared,
    enabled: isEnabled,
    active: isEnabled && space !== undefined,
    totalBytes: to16Mib(total),
    availableBytes: to16Mib(total > used ? total - used : 0n),
  };
}

/** Exact figures of the usable storages, for the metrics message. */
export async function storageSpaces(context: StorageContext): Promise<Map<string, StorageSpace>> {
  const rows = readStorageRows(context.paths, context.nodeName);
  const found = new Map<string, StorageSpace>();
  for (const storage of readStorages(context.paths).filter((one) => isUsable(one, context.nodeName))) {
    const space = await spaceOf(storage, rows, context);
    if (space !== undefined) found.set(storage.id, space);
  }
  return found;
}

export function storageCollector(context: StorageContext): Collector {
  return {
    kind: 'storage',
    async collect(): Promise<readonly Observed[]> {
      const rows = readStorageRows(context.paths, context.nodeName);
      const found: Observed[] = [];
      for (const storage of readStorages(context.paths)) {
        const space = isUsable(storage, context.nodeName) ? await spaceOf(storage, rows, context) : undefined;
        const value = documentOf(storage, space, context.nodeName);
        found.push({ id: storage.id, document: { document: { $case: 'storage', value } } });
      }
      return found.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
  };
}

/** Where template files appear without any task; a folder on a dead server must not even be watched. */
export function localTemplateFolders({ paths, nodeName }: StorageContext): string[] {
  try {
    return readStorages(paths)
      .filter((storage) => isUsable(storage, nodeName) && LOCAL_DIRECTORY_TYPES.has(storage.type))
      .flatMap((storage) => templateDir(storage) ?? []);
  } catch {
    // The collector of the storages tells why they cannot be read.
    return [];
  }
}

/** Accepted by `vztmpl` stores, in any letter case: proxmox/pve-storage src/PVE/Storage.pm. */
const TEMPLATE_NAME = /\.tar(?:\.(?:gz|xz|zst|bz2))?$/i;

/** A storage whose folder has not answered yet must not be asked again: each try would hold one more thread. */
const DEAD_AFTER_MS = 5_000;

class TemplateCollector implements Collector {
  readonly kind = 'template';
  readonly #context: StorageContext;
  readonly #waiting = new Map<string, Promise<Observed[]>>();

  constructor(context: StorageContext) {
    this.#context = context;
  }

  async collect(): Promise<readonly Observed[]> {
    const { paths, nodeName } = this.#context;
    const storages = readStorages(paths).filter((storage) => isUsable(storage, nodeName));
    const found: Observed[] = [];
    for (const storage of storages) {
      const folder = templateDir(storage);
      if (folder !== undefined) found.push(...(await this.#guarded(storage.id, folder)));
    }
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #guarded(storage: string, folder: string): Promise<Observed[]> {
    const tooSlow = new PxmError('PXM_DEADLINE_EXCEEDED', { peer: `storage ${storage}` });
    if (this.#waiting.has(storage)) throw tooSlow;
    const reading = this.#read(storage, folder).finally(() => this.#waiting.delete(storage));
    this.#waiting.set(storage, reading);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(tooSlow);
      }, DEAD_AFTER_MS);
    });
    // Both may lose the race; the loser must not count as unhandled.
    reading.catch(() => undefined);
    try {
      return await Promise.race([reading, limit]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(storage: string, folder: string): Promise<Observed[]> {
    const real = this.#context.paths.at(folder);
    const names = await readdir(real).catch((error: unknown) => {
      if (isAbsent(error)) return [];
      throw error;
    });
    const found: Observed[] = [];
    for (const fileName of names.filter((name) => TEMPLATE_NAME.test(name))) {
      const info = await stat(`${real}/${fileName}`).catch(() => undefined);
      if (info?.isFile() !== true) continue;
      const volumeId = `${storage}:vztmpl/${fileName}`;
      const value = { volumeId, fileName, sizeBytes: BigInt(info.size), storage };
      found.push({ id: volumeId, document: { document: { $case: 'template', value } } });
    }
    return found;
  }
}

export function templateCollector(context: StorageContext): Collector {
  return new TemplateCollector(context);
}
