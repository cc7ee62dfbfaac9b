/** All collectors in the order in which they have to run. */
import type { SourceFailure } from '@pxmgr/contract/common';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { GuestList } from '../guest/guest-list.ts';
import type { ToolVersions } from '../host/binaries.ts';
import type { Cluster } from '../host/cluster.ts';
import type { NodeFacts } from '../host/facts.ts';
import type { HostPaths } from '../host/paths.ts';
import type { PackageVersions } from '../host/pve-version.ts';
import type { StorageSpace } from '../host/rrd.ts';
import type { Collector } from './collector.ts';
import type { ContainerContext } from './container-document.ts';
import { DatasetCollector } from './datasets.ts';
import { GpuCollector, networkCollector, usbCollector } from './devices.ts';
import { GuestCollectors } from './guests.ts';
import type { ImageRecords } from './images.ts';
import { imageCollector } from './images.ts';
import { nodeCollector } from './node.ts';
import type { StorageContext } from './storages.ts';
import { localTemplateFolders, storageCollector, storageSpaces, templateCollector } from './storages.ts';

export interface InventoryParts {
  readonly paths: HostPaths;
  readonly runner: Runner;
  readonly cluster: Cluster;
  readonly nodeName: string;
  readonly facts: NodeFacts;
  readonly packages: PackageVersions;
  readonly tools: ToolVersions;
  readonly agentVersion: string;
  readonly agentAddress: string;
  readonly guests: GuestList;
  readonly containers: ContainerContext;
  readonly images: ImageRecords;
  /** Titles of operations that are being recovered. */
  readonly recovering: () => readonly string[];
}

/** What the collectors ask of whoever runs them. */
export interface FailureReports {
  readonly failures: () => readonly SourceFailure[];
  readonly onGpuFailure: (error: unknown) => void;
  /** `error` undefined: the source answers again. */
  readonly onSilence: (source: string, error: unknown) => void;
}

export interface Inventory {
  /** Lower ones need what upper ones found: storages the datasets' space, GPUs their users, the node all failures. */
  readonly collectors: readonly Collector[];
  readonly guests: GuestCollectors;
  readonly gpus: GpuCollector;
  readonly templateFolders: () => readonly string[];
  readonly storageSpaces: () => Promise<ReadonlyMap<string, StorageSpace>>;
}

export function createInventory(parts: InventoryParts, reports: FailureReports): Inventory {
  const { paths, runner, nodeName } = parts;
  const datasets = new DatasetCollector(runner, Object.hasOwn(parts.tools, 'zfs'));
  const storage: StorageContext = {
    paths,
    nodeName,
    datasetSpace: (pool) => datasets.space(pool),
    onSilence: reports.onSilence,
  };
  const guests = new GuestCollectors(parts.guests, parts.containers);
  const gpus = new GpuCollector({
    paths,
    runner,
    usersOf: (aliases, address) => guests.usersOf(aliases, address),
    onFailure: reports.onGpuFailure,
  });
  const notes = (): string[] => [
    ...datasets.poolNotes(),
    ...parts.recovering().map((title) => `being recovered: ${title}`),
  ];
  const node = nodeCollector({ ...parts, failures: reports.failures, notes });
  const devices = [gpus, usbCollector(paths), networkCollector(paths)];
  const files = [datasets, storageCollector(storage), templateCollector(storage), imageCollector(parts.images)];
  return {
    collectors: [...files, guests.containers, guests.vms, ...devices, node],
    guests,
    gpus,
    templateFolders: () => localTemplateFolders(storage),
    storageSpaces: () => storageSpaces(storage),
  };
}
