/** What is promised but not yet seen: the values behind the reservation ledger. */
import type { ReservationStateName } from '@pxmgr/contract';
import { countedCores, type NodeSnapshot } from './snapshot.ts';

/** A device held by a reservation, or by the guest that came of it. Keys: PCI address of a GPU, "usb:<id>" of a USB device. */
export interface DeviceClaim {
  readonly device: string;
  /** Video memory asked for; 0 = none named. */
  readonly vramBytes: number;
  readonly exclusive: boolean;
}

/** A device held by a guest that is in the inventory. */
export interface SettledDevice extends DeviceClaim {
  readonly nodeUid: string;
  readonly guestUid: string;
}

export interface PoolClaim {
  readonly storage: string;
  readonly bytes: number;
}

/** What one piece of work takes from its node; memory and cores are those that its guest shall have as a whole. */
export interface Claim {
  readonly memoryBytes: number;
  readonly cpuCores: number;
  readonly pools: readonly PoolClaim[];
  readonly devices: readonly DeviceClaim[];
}

export interface ReservationRecord extends Claim {
  readonly id: string;
  readonly nodeUid: string;
  readonly nodeName: string;
  readonly vmid: number;
  readonly guestUid: string;
  readonly planId: string;
  readonly state: ReservationStateName;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** 0 while active. */
  readonly endedMs: number;
  readonly actor: string;
  readonly fencingToken: number;
  readonly endReason: string;
  readonly title: string;
}

export const NO_CLAIM: Claim = { memoryBytes: 0, cpuCores: 0, pools: [], devices: [] };

export function isNothing({ memoryBytes, cpuCores, pools, devices }: Claim): boolean {
  return memoryBytes === 0 && cpuCores === 0 && pools.length === 0 && devices.length === 0;
}

/** The guest is in the inventory, so what it has is counted there. */
export function isObserved({ vmid, guestUid }: ReservationRecord, node: NodeSnapshot): boolean {
  return node.guests.get(vmid)?.guestUid === guestUid;
}

/** What the inventory of the node does not count yet: of a guest that is there, by how much it shall grow. */
export function outstanding(record: ReservationRecord, node: NodeSnapshot): Claim {
  const guest = node.guests.get(record.vmid);
  if (guest?.guestUid !== record.guestUid) return record;
  return {
    memoryBytes: Math.max(0, record.memoryBytes - guest.memoryBytes),
    cpuCores: Math.max(0, record.cpuCores - countedCores(guest.cores)),
    pools: [],
    devices: record.devices,
  };
}

/** Sum of the claims on one device. */
export interface DeviceHold {
  readonly holders: number;
  readonly vramBytes: number;
  readonly exclusive: boolean;
}

/** Sum of what is promised on one node. */
export interface Holdings {
  readonly memoryBytes: number;
  readonly cpuCores: number;
  readonly pools: ReadonlyMap<string, number>;
  readonly devices: ReadonlyMap<string, DeviceHold>;
}

export const NO_HOLDINGS: Holdings = { memoryBytes: 0, cpuCores: 0, pools: new Map(), devices: new Map() };

/** `claims` are the active reservations; `settled` the devices of guests that are already in the inventory. */
export function sumHoldings(claims: Iterable<Claim>, settled: Iterable<DeviceClaim>): Holdings {
  let memoryBytes = 0;
  let cpuCores = 0;
  const pools = new Map<string, number>();
  const devices = new Map<string, DeviceHold>();
  for (const claim of claims) {
    memoryBytes += claim.memoryBytes;
    cpuCores += claim.cpuCores;
    for (const pool of claim.pools) pools.set(pool.storage, (pools.get(pool.storage) ?? 0) + pool.bytes);
    for (const device of claim.devices) addDevice(devices, device);
  }
  for (const device of settled) addDevice(devices, device);
  return { memoryBytes, cpuCores, pools, devices };
}

/** The same sum with one claim more. */
export function withClaim(held: Holdings, claim: Claim): Holdings {
  const pools = new Map(held.pools);
  const devices = new Map(held.devices);
  for (const pool of claim.pools) pools.set(pool.storage, (pools.get(pool.storage) ?? 0) + pool.bytes);
  for (const device of claim.devices) addDevice(devices, device);
  return {
    memoryBytes: held.memoryBytes + claim.memoryBytes,
    cpuCores: held.cpuCores + claim.cpuCores,
    pools,
    devices,
  };
}

function addDevice(devices: Map<string, DeviceHold>, claim: DeviceClaim): void {
  const held = devices.get(claim.device);
  devices.set(claim.device, {
    holders: (held?.holders ?? 0) + 1,
    vramBytes: (held?.vramBytes ?? 0) + claim.vramBytes,
    exclusive: (held?.exclusive ?? false) || claim.exclusive,
  });
}
