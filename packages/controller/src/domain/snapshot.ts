/** What the scheduler knows of one node. Sizes are plain numbers of bytes (all below 2^53). */
import type { GuestView } from './guest.ts';
import type { Presence } from './node-state.ts';

export interface StorageView {
  readonly id: string;
  /** zfspool, dir, lvmthin, ... */
  readonly type: string;
  readonly content: readonly string[];
  /** Directory of a file based storage; empty for others. */
  readonly path: string;
  readonly shared: boolean;
  readonly usable: boolean;
  readonly totalBytes: number;
  readonly availableBytes: number;
}

export interface DatasetView {
  readonly name: string;
  readonly mountpoint: string;
  readonly mounted: boolean;
}

export interface GpuView {
  /** 0000:01:00.0 */
  readonly address: string;
  readonly vendor: string;
  readonly model: string;
  /** 0 = the node does not know. */
  readonly vramBytes: number;
  readonly devicePaths: readonly string[];
  /** Guests whose config names one of its nodes. */
  readonly usedBy: readonly number[];
}

/** One node at one moment: immutable, replaced as a whole when something of it changes. */
export interface NodeSnapshot {
  readonly uid: string;
  readonly name: string;
  readonly presence: Presence;
  /** False until the node's first document arrived. */
  readonly known: boolean;
  readonly cluster: string;
  readonly quorate: boolean;
  /** amd64, arm64, ... as in an image platform. */
  readonly architecture: string;
  readonly capabilities: ReadonlySet<string>;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly guests: ReadonlyMap<number, GuestView>;
  /** Sums over the guests that are not templates: running ones, and all. */
  readonly runningMemoryBytes: number;
  readonly guestMemoryBytes: number;
  readonly guestCores: number;
  /** Number of guests by the digest of their image. */
  readonly imageGuests: ReadonlyMap<string, number>;
  readonly storages: ReadonlyMap<string, StorageView>;
  readonly datasets: ReadonlyMap<string, DatasetView>;
  /** Paths under which the node is known to have files: mount points of datasets and directories of storages, without "/". */
  readonly roots: readonly string[];
  readonly gpus: readonly GpuView[];
  /** Device path -> id of the USB device it belongs to. */
  readonly usbPaths: ReadonlyMap<string, string>;
  readonly bridges: ReadonlySet<string>;
  /** Digests of pulled images. */
  readonly images: ReadonlySet<string>;
  /** Volume ids of templates. */
  readonly templates: ReadonlySet<string>;
}

/** The known root that holds the path, the deepest one; undefined when none does. */
export function rootOf(node: NodeSnapshot, path: string): string | undefined {
  let best: string | undefined;
  for (const root of node.roots) {
    if (path !== root && !path.startsWith(`${root}/`)) continue;
    if (best === undefined || root.length > best.length) best = root;
  }
  return best;
}

/** A guest without a core limit counts as one core: it shares what is there. */
export function countedCores(cores: number): number {
  return cores > 0 ? cores : 1;
}
