/** What the volumes of a container say about snapshots: which cannot have any, and what stands in the way of one. */
import type { DatasetName } from '@pxmgr/contract';
import { readStorages, type StorageDefinition } from '../../host/storage-cfg.ts';
import { listSnapshots } from '../../zfs/snapshot.ts';
import type { ConfigSection } from '../config-file.ts';
import { type MountEntry, mountEntries } from '../mount-entries.ts';
import { datasetOfVolume } from '../volume-place.ts';
import type { ChangeJob } from './kind.ts';

/** Types that take snapshots of container volumes (proxmox/pve-storage src/PVE/Storage/, volume_has_feature of each plugin). */
const WITH_SNAPSHOTS: ReadonlySet<string> = new Set(['zfspool', 'btrfs', 'lvmthin', 'rbd']);

/** One reason for each mount that makes `pct snapshot` refuse: a single one is enough (proxmox/pve-container src/PVE/LXC/Config.pm has_feature). */
export function snapshotBlockers(section: ConfigSection, storages: readonly StorageDefinition[]): string[] {
  return mountEntries(section).flatMap(({ key, kind, source, storage }) => {
    if (kind !== 'volume') return [`${key} (${source}) is a ${kind} mount`];
    const type = storages.find((one) => one.id === storage)?.type ?? 'unknown';
    return WITH_SNAPSHOTS.has(type) ? [] : [`${key} (${source}) is on ${storage}, and type ${type} has no snapshots`];
  });
}

/** What one dataset of the guest says about its snapshot of a name. */
export interface SnapshotOnDataset {
  readonly dataset: string;
  readonly isThere: boolean;
  /** Snapshots and bookmarks made after it, oldest first. */
  readonly newer: readonly string[];
  readonly holds: number;
  readonly clones: readonly string[];
}

/** For each volume of the section that is a ZFS dataset. Other storages have no such order and no holds. */
export async function snapshotsOnDatasets(
  job: ChangeJob<unknown>,
  section: ConfigSection,
  name: string,
): Promise<SnapshotOnDataset[]> {
  const storages = readStorages(job.parts.paths);
  const datasets = mountEntries(section).flatMap((mount) => datasetOf(mount, storages) ?? []);
  return await Promise.all(
    datasets.map(async (dataset) => {
      const all = await listSnapshots(job.run, dataset, job.parts.files.node);
      const index = all.findIndex((one) => !one.isBookmark && one.name === name);
      const found = all[index];
      return {
        dataset,
        isThere: found !== undefined,
        newer: found === undefined ? [] : all.slice(index + 1).map((one) => one.name),
        holds: found?.holds ?? 0,
        clones: found?.clones ?? [],
      };
    }),
  );
}

function datasetOf(
  { kind, source, storage }: MountEntry,
  storages: readonly StorageDefinition[],
): DatasetName | undefined {
  const definition = storages.find((one) => one.id === storage);
  if (kind !== 'volume' || definition?.type !== 'zfspool' || definition.pool === undefined) return undefined;
  return datasetOfVolume(definition.pool, source) as DatasetName;
}
