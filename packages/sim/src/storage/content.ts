/** What lies on a storage: guest volumes and files, with the words `pvesm list` uses for them. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readCluster } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';
import { contentOf, type Storage } from '../text/storage-cfg.ts';
import { contentFolder, volumeBackend } from './storages.ts';
import { parseVolumeName, templateSuffix } from './volume-names.ts';

export interface ContentRow {
  readonly volid: string;
  /** `raw`, `subvol`, `tzst`, `iso`, `snippet`, ... */
  readonly format: string;
  readonly content: string;
  readonly sizeBytes: number;
  readonly vmid?: number;
}

/**
 * Only content types the storage is configured for. For one guest: its volumes and backups, no templates and images,
 * but files that belong to nobody (pve-storage src/PVE/Storage/Plugin.pm list_volumes).
 */
export async function contentRows(host: Host, storage: Storage, vmid?: number): Promise<ContentRow[]> {
  const types = contentOf(storage);
  const kinds = (['vztmpl', 'iso', 'snippets', 'backup', 'import'] as const).filter(
    (kind) => types.includes(kind) && (vmid === undefined || (kind !== 'vztmpl' && kind !== 'iso')),
  );
  const files = kinds
    .flatMap((kind) => fileRows(host, storage, kind).map((row) => ({ kind, row })))
    .filter(({ kind, row }) => vmid === undefined || kind !== 'backup' || row.vmid === vmid);
  const volumes = (await volumeRows(host, storage)).filter((row) => vmid === undefined || row.vmid === vmid);
  return [...volumes, ...files.map(({ row }) => row)];
}

/** Volumes of containers are `rootdir`, all others `images`; an owner nobody knows counts as a VM. */
async function volumeRows(host: Host, storage: Storage): Promise<ContentRow[]> {
  const types = contentOf(storage);
  if (!types.includes('images') && !types.includes('rootdir')) return [];
  const rows = await (await volumeBackend(storage)).list(host, storage);
  const guests = readCluster(host).guests;
  return rows.map((row) => ({
    volid: row.volid,
    format: row.format,
    content: guests[String(row.vmid)]?.type === 'lxc' ? 'rootdir' : 'images',
    sizeBytes: row.sizeBytes,
    vmid: row.vmid,
  }));
}

function fileRows(
  host: Host,
  storage: Storage,
  kind: 'vztmpl' | 'iso' | 'snippets' | 'backup' | 'import',
): ContentRow[] {
  const folder = contentFolder(storage, kind);
  if (folder === undefined || !existsSync(host.path(folder))) return [];
  return readdirSync(host.path(folder))
    .sort()
    .flatMap((name) => {
      const stat = statSync(join(host.path(folder), name), { throwIfNoEntry: false });
      if (stat?.isFile() !== true) return [];
      try {
        const { vmid } = parseVolumeName('dir', `${kind}/${name}`);
        return [
          {
            volid: `${storage.id}:${kind}/${name}`,
            format: fileFormat(kind, name),
            content: kind,
            sizeBytes: stat.size,
            ...(vmid === undefined ? {} : { vmid }),
          },
        ];
      } catch {
        return []; // not a name of this content type
      }
    });
}

function fileFormat(kind: string, name: string): string {
  if (kind === 'vztmpl') {
    const packing = (templateSuffix(name) ?? '').slice(1).split('.').at(-1) ?? 'tar';
    return packing === 'tar' ? 'tar' : `t${packing}`;
  }
  if (kind === 'snippets') return 'snippet';
  if (kind === 'backup') return /\.(tgz|tar(?:\.[a-z]+)?|vma(?:\.[a-z]+)?|zip)$/.exec(name)?.[1] ?? 'tar';
  return /\.([^.]+)$/.exec(name)?.[1] ?? kind;
}
