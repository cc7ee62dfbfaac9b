import type { Clock } from '@pxmgr/kit/clock';
import { type ApiRequestable, type Proxmox, proxmoxApi } from 'proxmox-api';
import { PveEngine } from './engine.ts';

export interface PveEndpointOptions {
  readonly name: string;
  readonly address: string;
  readonly fingerprint: string;
  readonly token: string;
}

/** What one cluster says that it has. */
export interface PveResources {
  readonly nodes: number;
  readonly guests: number;
  readonly storages: number;
}

/** One configured Proxmox API, as far as it is used now: does it answer, and does it agree with the agents. */
export interface PveProbe {
  readonly name: string;
  resources(signal: AbortSignal): Promise<PveResources>;
  close(): void;
}

/** Typed access to the API of one cluster. */
export function createPveClient(options: PveEndpointOptions, clock: Clock): { api: Proxmox.Api; close: () => void } {
  const engine = new PveEngine({ ...options, clock });
  const door: ApiRequestable = engine;
  return {
    api: proxmoxApi(door),
    close: () => {
      engine.close();
    },
  };
}

export function createPveProbe(options: PveEndpointOptions, clock: Clock): PveProbe {
  const { api, close } = createPveClient(options, clock);
  return {
    name: options.name,
    resources: async () => {
      const found = await api.cluster.resources.$get();
      const count = (...types: string[]): number => found.filter((resource) => types.includes(resource.type)).length;
      return { nodes: count('node'), guests: count('lxc', 'qemu'), storages: count('storage') };
    },
    close,
  };
}
