/** `/etc/pve/storage.cfg`: grammar and defaults of proxmox/pve-storage src/PVE/Storage/Plugin.pm. */
import type { HostPaths } from './paths.ts';

export interface StorageDefinition {
  readonly id: string;
  readonly type: string;
  /** Content types: images, rootdir, vztmpl, iso, backup, snippets, import. */
  readonly content: ReadonlySet<string>;
  /** Directory inside the host, for storages that are directories. */
  readonly path: string | undefined;
  /** Dataset of a zfspool, or pool of rbd. */
  readonly pool: string | undefined;
  /** Nodes it is limited to; undefined = all. */
  readonly nodes: readonly string[] | undefined;
  readonly disabled: boolean;
  readonly shared: boolean;
  /** Every option as written. */
  readonly options: ReadonlyMap<string, string>;
}

const SHARED_TYPES = new Set(['nfs', 'cifs', 'pbs', 'cephfs', 'rbd', 'iscsi', 'iscsidirect', 'zfs', 'esxi']);
/** Mounted by Proxmox itself at /mnt/pve/<id>. */
const MOUNTED_TYPES = new Set(['nfs', 'cifs', 'cephfs']);
const DEFAULT_CONTENT: Readonly<Record<string, readonly string[]>> = {
  dir: ['images', 'rootdir'],
  btrfs: ['images', 'rootdir'],
  zfspool: ['images', 'rootdir'],
  lvmthin: ['images', 'rootdir'],
  cephfs: ['backup'],
  pbs: ['backup'],
};
/** `local` when no section defines it. */
const IMPLICIT_LOCAL = 'dir: local\n\tpath /var/lib/vz\n\tcontent images,rootdir,vztmpl,iso,backup,snippets\n';

interface Section {
  readonly type: string;
  readonly id: string;
  readonly options: Map<string, string>;
}

function sections(text: string): Section[] {
  const found: Section[] = [];
  let current: Section | undefined;
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    const head = /^([a-z][a-z0-9]*):\s*(\S+)\s*$/i.exec(line);
    if (head !== null) {
      current = { type: (head[1] ?? '').toLowerCase(), id: head[2] ?? '', options: new Map() };
      found.push(current);
      continue;
    }
    const option = /^\s+(\S+)(?:\s+(.*?))?\s*$/.exec(line);
    if (option !== null && current !== undefined) current.options.set(option[1] ?? '', option[2] ?? '');
  }
  return found;
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/[,;\s]+/).filter((word) => word !== '');
}

/** A bare flag line means 1. */
function flag(options: ReadonlyMap<string, string>, key: string): boolean {
  const value = options.get(key);
  return value !== undefined && !['0', 'no', 'off', 'false'].includes(value.toLowerCase());
}

function define(section: Section): StorageDefinition {
  const { id, type, options } = section;
  const content = options.has('content') ? words(options.get('content')) : (DEFAULT_CONTENT[type] ?? ['images']);
  return {
    id,
    type,
    content: new Set(content.filter((word) => word !== 'none')),
    path: options.get('path') ?? (MOUNTED_TYPES.has(type) ? `/mnt/pve/${id}` : undefined),
    pool: options.get('pool'),
    nodes: options.has('nodes') ? words(options.get('nodes')) : undefined,
    disabled: flag(options, 'disable'),
    shared: SHARED_TYPES.has(type) || flag(options, 'shared'),
    options,
  };
}

/** All definitions in file order; a missing `local` is added as Proxmox does. */
export function parseStorageCfg(text: string): StorageDefinition[] {
  const found = sections(text);
  if (!found.some((section) => section.id === 'local')) found.push(...sections(IMPLICIT_LOCAL));
  return found.map(define);
}

/** Folder of the `vztmpl` files inside the host; undefined when the storage holds none. */
export function templateDir(storage: StorageDefinition): string | undefined {
  if (storage.path === undefined || !storage.content.has('vztmpl')) return undefined;
  const override = words(storage.options.get('content-dirs')).find((item) => item.startsWith('vztmpl='));
  const folder = override === undefined ? 'template/cache' : override.slice('vztmpl='.length);
  return `${storage.path}/${folder}`.replace(/\/+/g, '/');
}

/** True when the storage is there on this node and switched on. */
export function isUsable(storage: StorageDefinition, nodeName: string): boolean {
  return !storage.disabled && (storage.nodes === undefined || storage.nodes.includes(nodeName));
}

/** First usable storage for a content type, `local` before the others; undefined when there is none. */
export function storageFor(
  storages: readonly StorageDefinition[],
  content: string,
  nodeName: string,
): StorageDefinition | undefined {
  const fit = storages.filter((storage) => storage.content.has(content) && isUsable(storage, nodeName));
  return fit.find((storage) => storage.id === 'local') ?? fit[0];
}

/** The node's storages as configured now. */
export function readStorages(paths: HostPaths): StorageDefinition[] {
  return parseStorageCfg(paths.readIfThere('/etc/pve/storage.cfg') ?? '');
}
