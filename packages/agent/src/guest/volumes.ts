import { readdir } from 'node:fs/promises';
import type { Command, CommandResult, Runner } from '@pxmgr/kit/exec/command';
import { type HostPaths, isAbsent } from '../host/paths.ts';
import { commandError } from '../host/stderr-map.ts';
import { readStorages, type StorageDefinition } from '../host/storage-cfg.ts';
import { listDatasets } from '../zfs/dataset.ts';
import { listVolumesCommand } from './pct-args.ts';

export interface VolumeParts {
  readonly paths: HostPaths;
  readonly node: string;
  readonly run: (command: Command) => Promise<CommandResult>;
}

/** Types whose guest volumes are plain names in `<path>/images/<vmid>` (proxmox/pve-storage src/PVE/Storage/Plugin.pm). */
const IMAGE_DIRECTORIES = new Set(['dir', 'nfs', 'cifs']);

/**
 * Volume ids on a storage that carry a guest's vmid in their name, whoever made them. Files and `zfs list` where they
 * tell; `pvesm list` costs half a second of Perl and is for the other types.
 */
export async function volumesOf(parts: VolumeParts, storageId: string, vmid: number): Promise<string[]> {
  const storage = readStorages(parts.paths).find((one) => one.id === storageId);
  if (storage === undefined) return [];
  if (IMAGE_DIRECTORIES.has(storage.type) && storage.path !== undefined && !storage.options.has('content-dirs')) {
    return await volumesInDirectory(parts, storage, vmid);
  }
  if (storage.type === 'zfspool' && storage.pool !== undefined) return await volumesInPool(parts, storage, vmid);
  const result = await parts.run(listVolumesCommand(storageId, vmid));
  if (result.exitCode !== 0) throw commandError(result, { storage: storageId, node: parts.node });
  return parseVolumeList(result.stdout, storageId);
}

/** First column of `pvesm list`; the header names it "Volid". */
export function parseVolumeList(text: string, storageId: string): string[] {
  return text
    .split('\n')
    .map((line) => line.split(/\s+/, 1)[0] ?? '')
    .filter((volid) => volid.startsWith(`${storageId}:`));
}

async function volumesInDirectory(parts: VolumeParts, storage: StorageDefinition, vmid: number): Promise<string[]> {
  try {
    const folder = `${storage.path ?? ''}/images/${vmid}`;
    const names = await parts.paths.look(`storage ${storage.id}`, folder, async (real) => await readdir(real));
    return names.map((name) => `${storage.id}:${vmid}/${name}`);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

async function volumesInPool(parts: VolumeParts, storage: StorageDefinition, vmid: number): Promise<string[]> {
  const runner: Pick<Runner, 'run'> = { run: parts.run };
  const names = (await listDatasets(runner as Runner)).map((dataset) => dataset.name);
  const pattern = new RegExp(`^(?:vm|base|subvol|basevol)-${vmid}-`);
  return names.flatMap((name) => {
    const slash = name.lastIndexOf('/');
    if (name.slice(0, slash) !== storage.pool || !pattern.test(name.slice(slash + 1))) return [];
    return [`${storage.id}:${name.slice(slash + 1)}`];
  });
}
