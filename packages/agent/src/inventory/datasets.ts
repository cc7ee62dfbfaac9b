/** Datasets of all pools. Keeps the last lists, which tell the space of zfspool storages and the health of the pools. */
import type { DatasetDocument } from '@pxmgr/contract/common';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { StorageSpace } from '../host/rrd.ts';
import { listDatasets, listPools } from '../zfs/dataset.ts';
import type { Dataset, Pool } from '../zfs/parse.ts';
import type { Collector, Observed } from './collector.ts';
import { toOnePercent } from './stable-value.ts';

function documentOf(dataset: Dataset): DatasetDocument {
  return {
    name: dataset.name,
    mountpoint: dataset.mountpoint,
    usedBytes: toOnePercent(dataset.usedBytes),
    availableBytes: toOnePercent(dataset.availableBytes),
    refquotaBytes: dataset.refquotaBytes,
    type: dataset.type,
    mounted: dataset.isMounted,
    origin: dataset.origin,
  };
}

export class DatasetCollector implements Collector {
  readonly kind = 'dataset';
  readonly #runner: Runner;
  readonly #hasZfs: boolean;
  #last: readonly Dataset[] = [];
  #pools: readonly Pool[] = [];

  constructor(runner: Runner, hasZfs: boolean) {
    this.#runner = runner;
    this.#hasZfs = hasZfs;
  }

  async collect(): Promise<readonly Observed[]> {
    this.#last = this.#hasZfs ? await listDatasets(this.#runner) : [];
    this.#pools = this.#hasZfs ? await listPools(this.#runner) : [];
    return this.#last
      .map(
        (dataset): Observed => ({
          id: dataset.name,
          document: { document: { $case: 'dataset', value: documentOf(dataset) } },
        }),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Total is what it and its children use plus what is left for them. */
  space(pool: string): StorageSpace | undefined {
    const dataset = this.#last.find((row) => row.name === pool);
    if (dataset === undefined) return undefined;
    return { totalBytes: dataset.usedBytes + dataset.availableBytes, usedBytes: dataset.usedBytes };
  }

  /** One line for each pool that is not well, for the node document. */
  poolNotes(): string[] {
    return this.#pools.filter((pool) => pool.health !== 'ONLINE').map((pool) => `pool ${pool.name} is ${pool.health}`);
  }
}
