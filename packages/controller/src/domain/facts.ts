/**
 * What an explanation needs to know of the fleet, as plain data that can be stored and read back: the snapshots without
 * the guests that decide nothing (their sums stay), and what was promised. Packing loses nothing that a filter or a
 * score reads, except the holders of an asked vmid, which are stored with the question.
 */

import type { GuestView } from './guest.ts';
import { type Holdings, NO_HOLDINGS } from './reservation.ts';
import type { NodeSnapshot } from './snapshot.ts';

/** JSON of a snapshot: sets and maps as lists, guests only where they hold a device. */
export type PackedNode = Omit<
  NodeSnapshot,
  'capabilities' | 'guests' | 'imageGuests' | 'storages' | 'datasets' | 'usbPaths' | 'bridges' | 'images' | 'templates'
> & {
  readonly capabilities: readonly string[];
  readonly guests: readonly GuestView[];
  readonly imageGuests: readonly (readonly [string, number])[];
  readonly storages: readonly (NodeSnapshot['storages'] extends ReadonlyMap<string, infer T> ? T : never)[];
  readonly datasets: readonly (NodeSnapshot['datasets'] extends ReadonlyMap<string, infer T> ? T : never)[];
  readonly usbPaths: readonly (readonly [string, string])[];
  readonly bridges: readonly string[];
  readonly images: readonly string[];
  readonly templates: readonly string[];
};

export function packNode(node: NodeSnapshot): PackedNode {
  return {
    ...node,
    capabilities: [...node.capabilities],
    guests: node.usbPaths.size === 0 ? [] : [...node.guests.values()].filter((guest) => guest.devicePaths.length > 0),
    imageGuests: [...node.imageGuests],
    storages: [...node.storages.values()],
    datasets: [...node.datasets.values()],
    usbPaths: [...node.usbPaths],
    bridges: [...node.bridges],
    images: [...node.images],
    templates: [...node.templates],
  };
}

export function unpackNode(packed: PackedNode): NodeSnapshot {
  return {
    ...packed,
    capabilities: new Set(packed.capabilities),
    guests: new Map(packed.guests.map((guest) => [guest.vmid, guest])),
    imageGuests: new Map(packed.imageGuests),
    storages: new Map(packed.storages.map((storage) => [storage.id, storage])),
    datasets: new Map(packed.datasets.map((dataset) => [dataset.name, dataset])),
    usbPaths: new Map(packed.usbPaths),
    bridges: new Set(packed.bridges),
    images: new Set(packed.images),
    templates: new Set(packed.templates),
  };
}

/** 0 = nothing is held. */
export type PackedHoldings =
  | 0
  | readonly [
      memoryBytes: number,
      cpuCores: number,
      pools: readonly (readonly [string, number])[],
      devices: readonly (readonly [device: string, holders: number, vramBytes: number, exclusive: boolean])[],
    ];

export function packHoldings(held: Holdings): PackedHoldings {
  if (held === NO_HOLDINGS) return 0;
  const devices = [...held.devices].map(
    ([device, { holders, vramBytes, exclusive }]) => [device, holders, vramBytes, exclusive] as const,
  );
  return [held.memoryBytes, held.cpuCores, [...held.pools], devices];
}

export function unpackHoldings(packed: PackedHoldings): Holdings {
  if (packed === 0) return NO_HOLDINGS;
  const [memoryBytes, cpuCores, pools, devices] = packed;
  return {
    memoryBytes,
    cpuCores,
    pools: new Map(pools),
    devices: new Map(
      devices.map(([device, holders, vramBytes, exclusive]) => [device, { holders, vramBytes, exclusive }]),
    ),
  };
}

/** One difference of the fleet between two decisions: a node as it is now, or what is held on it now. */
export type FactChange =
  | readonly ['node', uid: string, node: PackedNode]
  | readonly ['held', uid: string, held: PackedHoldings];
