/** Storages with their space, and the template files that lie in them. */
import { readdir, stat, statfs } from 'node:fs/promises';
import type { StorageDocument } from '@pxmgr/contract/common';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import type { HostPaths } from '../host/paths.ts';
import { isAbsent } from '../host/paths.ts';
import type { StorageSpace } from '../host/rrd.ts';
import { readStorageRows } from '../host/rrd.ts';
import type { StorageDefinition } from '../host/storage-cfg.ts';
import { isUsable, readStorages, templateDir } from '../host/storage-cfg.ts';
import type { Collector, Observed } from './collector.ts';
import { to16Mib } from './stable-value.ts';

export interface StorageContext {
  readonly paths: HostPaths;
  readonly nodeName: string;
  /** Space of a dataset as last listed; for zfspool storages without a row in `.rrd`. */
  readonly datasetSpace: (pool: string) => StorageSpace | undefined;
  /** Part of one storage does not answer, or (undefined) does again; `source` for people: "space of storage nas". */
  readonly onSilence: (source: string, error: unknown) => void;
}

/** Types whose directory lies on this host's own disks: looking at it cannot hang on a dead server. */
const LOCAL_DIRECTORY_TYPES = new Set(['dir', 'btrfs']);

async function directorySpace(storage: StorageDefinition, context: StorageContext): Promise<StorageSpace | undefined> {
  const { path = '' } = storage;
  try {
    return await askedOf(context, { id: storage.id, part: 'space', path }, async (real) => {
      const { bsize, blocks, bavail } = await statfs(real, { bigint: true });
      return { totalBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize };
    });
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Undefined when the storage does not answer, which is told; the others are none the worse for it. */
async function askedOf<T>(
  { paths, onSilence }: StorageContext,
  { id, part, path }: { id: string; part: string; path: string },
  body: (real: string) => Promise<T>,
): Promise<T | undefined> {
  const source = `${part} of storage ${id}`;
  try {
    const found = await paths.look(`storage ${id}`, path, body);
    onSilence(source, undefined);
    return found;
  } catch (error) {
    if (!isPxmError(error, 'PXM_STORAGE_SILENT')) throw error;
    onSilence(source, error);
    return undefined;
  }
}

/** pvestatd's figures; where it does not run, the file system or the dataset itself. Network storages are never touched. */
async function spaceOf(storage: StorageDefinition, rows: ReadonlyMap<string, StorageSpace>, context: StorageContext) {
  const row = rows.get(storage.id);
  if (row !== undefined) return row;
  if (storage.type === 'zfspool' && storage.pool !== undefined) return context.datasetSpace(storage.pool);
  if (storage.path === undefined || !LOCAL_DIRECTORY_TYPES.has(storage.type)) return undefined;
  return await directorySpace(storage, context);
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
      const found = await Promise.all(
        readStorages(context.paths).map(async (storage): Promise<Observed> => {
          const space = isUsable(storage, context.nodeName) ? await spaceOf(storage, rows, context) : undefined;
          const value = documentOf(storage, space, context.nodeName);
          return { id: storage.id, document: { document: { $case: 'storage', value } } };
        }),
      );
      return found.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
  };
}

/** Where template files appear without any task; a folder on a dead server must not even be watched. */
export function localTemplateFolders({ paths, nodeName }: StorageContext): string[] {
  try {
    return (
      readStorages(paths)
        .filter((storage) => isUsable(storage, nodeName) && LOCAL_DIRECTORY_TYPES.has(storage.type))
        .flatMap((storage) => templateDir(storage) ?? [])
        // A storage of type dir may have its directory on a server all the same.
        .filter((folder) => !paths.liesElsewhere(folder))
    );
  } catch {
    // The collector of the storages tells why they cannot be read.
    return [];
  }
}

/** Accepted by `vztmpl` stores, in any letter case: proxmox/pve-storage src/PVE/Storage.pm. */
const TEMPLATE_NAME = /\.tar(?:\.(?:gz|xz|zst|bz2))?$/i;

class TemplateCollector implements Collector {
  readonly kind = 'template';
  readonly #context: StorageContext;
  /** By storage: what a silent one had stands until it answers. */
  readonly #last = new Map<string, readonly Observed[]>();

  constructor(context: StorageContext) {
    this.#context = context;
  }

  async collect(): Promise<readonly Observed[]> {
    const { paths, nodeName } = this.#context;
    const storages = readStorages(paths).filter((one) => isUsable(one, nodeName));
    const found = await Promise.all(storages.map((storage) => this.#templatesOf(storage)));
    return found.flat().sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #templatesOf(storage: StorageDefinition): Promise<readonly Observed[]> {
    const { id } = storage;
    const path = templateDir(storage);
    if (path === undefined) return [];
    const now = await askedOf(this.#context, { id, part: 'templates', path }, (real) => templatesIn(id, real));
    if (now !== undefined) this.#last.set(id, now);
    return this.#last.get(id) ?? [];
  }
}

async function templatesIn(storage: string, real: string): Promise<Observed[]> {
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

export function templateCollector(context: StorageContext): Collector {
  return new TemplateCollector(context);
}
