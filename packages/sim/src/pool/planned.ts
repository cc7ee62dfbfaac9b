/** Datasets that are simply there, many in one step: for fleets made from a plan. */
import type { Host } from '../host/host.ts';
import { attach, mountsItself } from './mounting.ts';
import { changePools, newDataset } from './state.ts';

export interface PlannedDataset {
  readonly name: string;
  /** In stored form. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Makes it a volume of that size. */
  readonly volumeBytes?: number;
}

/** Parents first; nothing is checked. `creation`: UNIX seconds. */
export function addDatasets(host: Host, planned: readonly PlannedDataset[], creation: number): void {
  changePools(host, (state) => {
    for (const { name, properties, volumeBytes } of planned) {
      const isVolume = volumeBytes !== undefined;
      const fresh = newDataset(host, state, {
        name,
        type: isVolume ? 'volume' : 'filesystem',
        properties: { ...properties, ...(isVolume ? { volsize: String(volumeBytes) } : {}) },
      });
      const dataset = { ...fresh, creation };
      state.datasets.push(dataset);
      if (mountsItself(state, dataset)) attach(host, state, dataset);
    }
  });
}
