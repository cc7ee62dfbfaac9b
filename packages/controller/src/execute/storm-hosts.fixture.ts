/** For tests: what is really on the hosts of a storm's fleet, and how the inventory hears of it. No controller, no time of its own. */
import { ContainerDocument, type ContainerSpec, GpuDocument, StorageDocument } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { gib, inventoryObject, type NodeSketch, SketchedFleet, uidOf } from '../domain/fleet.fixture.ts';

export interface HostSketch {
  readonly memoryGib: number;
  readonly cores: number;
  readonly poolGib: number;
  /** Video memory of each card. */
  readonly vramGib: readonly number[];
}

export interface RealGuest {
  readonly node: string;
  /** Empty = made by a person. */
  readonly guestUid: string;
  readonly memoryBytes: bigint;
  readonly cores: number;
  readonly pools: ReadonlyMap<string, bigint>;
  readonly devices: readonly string[];
  readonly isRunning: boolean;
}

/** In each node; `SHARED` is one for all of them. */
export const LOCAL = 'local-zfs';
export const SHARED = 'san';
export const SHARED_GIB = 48;
export const USB = '/dev/serial/by-id/stick';
const CLUSTER = 'home';
const ARCHIVES = { id: 'local', type: 'dir', content: ['vztmpl'], path: '/var/lib/vz' };

function cardAt(index: number): string {
  return `0000:0${String(index + 1)}:00.0`;
}

/** The path by which its node names a card. */
export function renderNode(address: string): string {
  return `/dev/dri/by-path/pci-${address}-render`;
}

export class StormHosts {
  readonly fleet: SketchedFleet;
  readonly names: readonly string[];
  /** By vmid: the nodes are one cluster. */
  readonly guests = new Map<number, RealGuest>();
  readonly #sketches: readonly HostSketch[];
  readonly #onEffect: () => void;

  constructor(sketches: readonly HostSketch[], onEffect: () => void) {
    this.#sketches = sketches;
    this.#onEffect = onEffect;
    this.names = sketches.map((_, index) => `node${'abcdefgh'.charAt(index)}`);
    this.fleet = new SketchedFleet(sketches.map((sketch, index) => toNode(this.names[index] ?? '', sketch)));
  }

  sketch(node: string): HostSketch {
    const sketch = this.#sketches[this.names.indexOf(node)];
    if (sketch === undefined) throw new Error(`no node ${node}`);
    return sketch;
  }

  poolBytes(node: string, storage: string): bigint {
    return gib(storage === SHARED ? SHARED_GIB : this.sketch(node).poolGib);
  }

  freeBytes(node: string, storage: string): bigint {
    let free = this.poolBytes(node, storage);
    for (const guest of this.guests.values())
      if (storage === SHARED || guest.node === node) free -= guest.pools.get(storage) ?? 0n;
    return free;
  }

  /** As `pct create`: refuses what it cannot make, and then leaves nothing. */
  create(node: string, vmid: number, wish: { guestUid: string; spec: ContainerSpec }): void {
    const { guestUid, spec } = wish;
    this.put(vmid, {
      node,
      guestUid,
      memoryBytes: spec.memoryBytes,
      cores: spec.cores,
      pools: new Map([[spec.storage, spec.rootfsBytes]]),
      devices: spec.devices.map(({ path }) => path),
      isRunning: false,
    });
  }

  put(vmid: number, guest: RealGuest): void {
    if (this.guests.has(vmid)) throw new PxmError('PXM_VMID_TAKEN', { vmid: String(vmid), owner: 'another guest' });
    for (const [storage, bytes] of guest.pools) {
      const free = this.freeBytes(guest.node, storage);
      const fields = { storage, node: guest.node, needed: String(bytes), available: String(free) };
      if (free < bytes) throw new PxmError('PXM_STORAGE_FULL', fields);
    }
    this.guests.set(vmid, guest);
    this.#onEffect();
  }

  setRunning(node: string, vmid: number, isRunning: boolean): void {
    this.guests.set(vmid, { ...this.#get(node, vmid), isRunning });
  }

  destroy(node: string, vmid: number): void {
    this.#get(node, vmid);
    this.guests.delete(vmid);
    this.#onEffect();
  }

  require(node: string, vmid: number, guestUid: string): void {
    const found = this.#get(node, vmid).guestUid;
    if (found !== guestUid)
      throw new PxmError('PXM_GUEST_FOREIGN', { vmid: String(vmid), node, expected: guestUid, found });
  }

  document(node: string, vmid: number): ContainerDocument {
    const { guestUid, memoryBytes, cores, devices, isRunning } = this.#get(node, vmid);
    return ContainerDocument.fromPartial({
      vmid,
      guestUid,
      name: `guest${String(vmid)}`,
      status: isRunning ? 'running' : 'stopped',
      memoryBytes,
      cores,
      devices: devices.map((path) => ({ path })),
    });
  }

  /** The state at that time, guest and space at once: how far figures of a storage lag behind is not part of the storm. */
  publish(node: string, vmid: number, when: Promise<void>): void {
    void when.then(() => {
      const key = { kind: 'container' as const, id: String(vmid) };
      if (this.guests.get(vmid)?.node !== node) this.fleet.remove(uidOf(node), key.kind, key.id);
      else {
        const value = this.document(node, vmid);
        this.fleet.put(inventoryObject(node, key, { document: { $case: 'container', value } }));
      }
      for (const name of this.names) this.#publishRoom(name);
    });
  }

  #publishRoom(node: string): void {
    for (const storage of [LOCAL, SHARED]) {
      const value = toStorage(storage, this.poolBytes(node, storage), this.freeBytes(node, storage));
      this.fleet.put(
        inventoryObject(node, { kind: 'storage', id: storage }, { document: { $case: 'storage', value } }),
      );
    }
    this.sketch(node).vramGib.forEach((_, index) => {
      const usedBy = [...this.guests]
        .filter(([, guest]) => guest.node === node && guest.devices.includes(renderNode(cardAt(index))))
        .map(([vmid]) => vmid);
      const value = GpuDocument.fromPartial({ ...card(this.sketch(node), index), usedBy });
      this.fleet.put(inventoryObject(node, { kind: 'gpu', id: value.address }, { document: { $case: 'gpu', value } }));
    });
  }

  #get(node: string, vmid: number): RealGuest {
    const guest = this.guests.get(vmid);
    if (guest?.node !== node) throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: String(vmid), where: ` on ${node}` });
    return guest;
  }
}

function card({ vramGib }: HostSketch, index: number): Partial<GpuDocument> {
  const address = cardAt(index);
  return { address, vendor: 'amd', vramBytes: gib(vramGib[index] ?? 0), devicePaths: [renderNode(address)] };
}

/** Where a person finds the first card. */
export const FIRST_CARD = renderNode(cardAt(0));

function toStorage(id: string, totalBytes: bigint, availableBytes: bigint): StorageDocument {
  const type = id === SHARED ? 'rbd' : 'zfspool';
  const state = { enabled: true, active: true, shared: id === SHARED };
  return StorageDocument.fromPartial({ id, type, content: ['rootdir'], ...state, totalBytes, availableBytes });
}

function toNode(name: string, sketch: HostSketch): NodeSketch {
  const { memoryGib, cores, poolGib, vramGib } = sketch;
  return {
    name,
    memoryGib,
    cores,
    document: { cluster: CLUSTER },
    storages: [
      ARCHIVES,
      toStorage(LOCAL, gib(poolGib), gib(poolGib)),
      toStorage(SHARED, gib(SHARED_GIB), gib(SHARED_GIB)),
    ],
    gpus: vramGib.map((_, index) => card(sketch, index)),
    usb: [{ id: '1-1', devicePaths: [USB] }],
  };
}
