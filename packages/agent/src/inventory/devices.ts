/** GPUs with their users, USB devices, networks. */
import type { PciAddress } from '@pxmgr/contract';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { Gpu } from '../device/gpu.ts';
import { gpuAddresses, readGpus } from '../device/gpu.ts';
import { readUsbDevices } from '../device/usb.ts';
import { readNetworks } from '../host/net.ts';
import type { HostPaths } from '../host/paths.ts';
import type { Collector, Observed } from './collector.ts';

export interface GpuContext {
  readonly paths: HostPaths;
  readonly runner: Runner;
  readonly usersOf: (aliases: readonly string[], address: PciAddress) => number[];
  readonly onFailure: (error: unknown) => void;
}

/** Reads the cards anew when the list of addresses changed or `forget` was called; users are looked up each time. */
export class GpuCollector implements Collector {
  readonly kind = 'gpu';
  readonly #context: GpuContext;
  #gpus: readonly Gpu[] | undefined;
  #seen = '';

  constructor(context: GpuContext) {
    this.#context = context;
  }

  /** True when a card came or went, or one changed its driver. */
  hasChanged(): boolean {
    return this.#fingerprint() !== this.#seen;
  }

  forget(): void {
    this.#gpus = undefined;
  }

  #fingerprint(): string {
    const { paths } = this.#context;
    return gpuAddresses(paths)
      .map((address) => `${address} ${paths.link(`/sys/bus/pci/devices/${address}/driver`) ?? ''}`)
      .join('\n');
  }

  async collect(): Promise<readonly Observed[]> {
    const { paths, runner, usersOf, onFailure } = this.#context;
    const fingerprint = this.#fingerprint();
    if (this.#gpus === undefined || fingerprint !== this.#seen) this.#gpus = await readGpus(paths, runner, onFailure);
    this.#seen = fingerprint;
    return this.#gpus.map(({ aliases, ...gpu }): Observed => {
      const value = { ...gpu, devicePaths: [...gpu.devicePaths], usedBy: usersOf(aliases, gpu.address) };
      return { id: gpu.address, document: { document: { $case: 'gpu', value } } };
    });
  }
}

export function usbCollector(paths: HostPaths): Collector {
  return {
    kind: 'usb',
    collect: () => {
      const found = readUsbDevices(paths).map((device): Observed => {
        const value = { ...device, devicePaths: [...device.devicePaths] };
        return { id: device.id, document: { document: { $case: 'usb', value } } };
      });
      return Promise.resolve(found);
    },
  };
}

export function networkCollector(paths: HostPaths): Collector {
  return {
    kind: 'network',
    collect: () => {
      const found = readNetworks(paths).map((device): Observed => {
        const value = { ...device, addresses: [...device.addresses].sort(), ports: [...device.ports].sort() };
        return { id: device.name, document: { document: { $case: 'network', value } } };
      });
      return Promise.resolve(found);
    },
  };
}
