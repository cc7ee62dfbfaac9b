/** For tests: inventory objects of a node, with everything a placement may want, and a fleet view that holds them. */
import { type InventoryKind, PRODUCT_VERSION } from '@pxmgr/contract';
import {
  ContainerDocument,
  DatasetDocument,
  GpuDocument,
  ImageDocument,
  type InventoryDocument,
  type InventoryObject,
  NetworkDocument,
  NodeDocument,
  StorageDocument,
  TemplateDocument,
  UsbDocument,
  VmDocument,
} from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { FleetView, NodeContents, ViewAction, ViewListener } from './fleet-view.ts';
import type { GuestKeyInput, GuestSummary } from './guest.ts';
import type { NodeState, Presence } from './node-state.ts';
import { guestViewOf } from './snapshot-build.ts';

export const GIB = 1024 ** 3;

export interface NodeSketch {
  readonly name: string;
  readonly presence?: Presence;
  readonly cores?: number;
  readonly memoryGib?: number;
  readonly document?: Partial<NodeDocument>;
  readonly storages?: readonly Partial<StorageDocument>[];
  readonly guests?: readonly Partial<ContainerDocument>[];
  readonly vms?: readonly Partial<VmDocument>[];
  readonly gpus?: readonly Partial<GpuDocument>[];
  readonly usb?: readonly Partial<UsbDocument>[];
  readonly datasets?: readonly Partial<DatasetDocument>[];
  readonly images?: readonly string[];
  readonly templates?: readonly string[];
  readonly bridges?: readonly string[];
}

export function uidOf(name: string): string {
  return `n-${name
    .toLowerCase()
    .replace(/[^a-z2-7]/g, 'a')
    .padEnd(16, 'a')
    .slice(0, 16)}`;
}

const CAPABILITIES = ['container.lxc', 'container.oci', 'image.pull', 'zfs', 'device.passthrough'];

export function gib(size: number): bigint {
  return BigInt(Math.round(size * GIB));
}

function nodeDocument(sketch: NodeSketch): NodeDocument {
  return NodeDocument.fromPartial({
    name: sketch.name,
    quorate: true,
    cpuCores: sketch.cores ?? 8,
    memoryBytes: gib(sketch.memoryGib ?? 32),
    architecture: 'x86_64',
    agentVersion: PRODUCT_VERSION,
    capabilities: CAPABILITIES,
    ...sketch.document,
  });
}

const LOCAL: Partial<StorageDocument> = { id: 'local', type: 'dir', content: ['vztmpl', 'iso'], path: '/var/lib/vz' };
const ZFS: Partial<StorageDocument> = {
  id: 'local-zfs',
  type: 'zfspool',
  content: ['rootdir', 'images'],
  pool: 'rpool',
};

function storage(part: Partial<StorageDocument>): StorageDocument {
  const sizes = { totalBytes: gib(500), availableBytes: gib(400), enabled: true, active: true };
  return StorageDocument.fromPartial({ ...sizes, ...part });
}

type Content = NonNullable<InventoryDocument['document']>;

/** The documents of a node by kind and id, without the node's own. */
export function sketchObjects(sketch: NodeSketch): InventoryObject[] {
  const all = [...guestContents(sketch), ...placeContents(sketch), ...deviceContents(sketch)];
  return all.map(([id, document]) => inventoryObject(sketch.name, { kind: document.$case, id }, { document }));
}

function guestContents({ guests = [], vms = [] }: NodeSketch): [string, Content][] {
  const containers = guests.map((part): [string, Content] => {
    const value = ContainerDocument.fromPartial({ status: 'running', memoryBytes: gib(1), cores: 1, ...part });
    return [String(part.vmid), { $case: 'container', value }];
  });
  const machines = vms.map((part): [string, Content] => {
    const value = VmDocument.fromPartial({ status: 'running', memoryBytes: gib(2), cores: 2, ...part });
    return [String(part.vmid), { $case: 'vm', value }];
  });
  return [...containers, ...machines];
}

function placeContents({
  storages = [LOCAL, ZFS],
  datasets = [],
  images = [],
  templates = [],
}: NodeSketch): [string, Content][] {
  return [
    ...storages.map((part): [string, Content] => [part.id ?? '', { $case: 'storage', value: storage(part) }]),
    ...datasets.map((part): [string, Content] => {
      const value = DatasetDocument.fromPartial({ mounted: true, type: 'filesystem', ...part });
      return [part.name ?? '', { $case: 'dataset', value }];
    }),
    ...images.map((digest): [string, Content] => [
      digest,
      { $case: 'image', value: ImageDocument.fromPartial({ digest }) },
    ]),
    ...templates.map((volumeId): [string, Content] => {
      return [volumeId, { $case: 'template', value: TemplateDocument.fromPartial({ volumeId }) }];
    }),
  ];
}

function deviceContents({ gpus = [], usb = [], bridges = ['vmbr0'] }: NodeSketch): [string, Content][] {
  return [
    ...gpus.map((part): [string, Content] => [part.address ?? '', { $case: 'gpu', value: gpu(part) }]),
    ...usb.map((part): [string, Content] => [part.id ?? '', { $case: 'usb', value: UsbDocument.fromPartial(part) }]),
    ...bridges.map((name): [string, Content] => {
      return [name, { $case: 'network', value: NetworkDocument.fromPartial({ name, type: 'bridge', active: true }) }];
    }),
  ];
}

function gpu(part: Partial<GpuDocument>): GpuDocument {
  const path = `/dev/dri/by-path/pci-${part.address ?? ''}-render`;
  return GpuDocument.fromPartial({ vendor: 'amd', devicePaths: [path, '/dev/dri/renderD128'], ...part });
}

export function inventoryObject(
  nodeName: string,
  key: { kind: InventoryKind; id: string },
  document: InventoryDocument,
): InventoryObject {
  const at = new Date(0);
  return {
    ...key,
    nodeUid: uidOf(nodeName),
    nodeName,
    generation: 1n,
    revision: 1n,
    observedAt: at,
    hash: '',
    document,
  };
}

/** A fleet in memory; `put` and `remove` are what the inventory would commit. */
export class SketchedFleet implements FleetView {
  readonly #nodes = new Map<string, NodeState>();
  readonly #objects = new Map<string, InventoryObject>();
  readonly #listeners = new Set<ViewListener>();
  revision = 0;

  constructor(sketches: readonly NodeSketch[]) {
    for (const sketch of sketches) {
      this.setNode(sketch);
      for (const object of sketchObjects(sketch)) this.put(object);
    }
  }

  setNode(sketch: NodeSketch): void {
    this.#nodes.set(uidOf(sketch.name), nodeState(sketch));
    this.revision += 1;
  }

  setPresence(name: string, presence: Presence): void {
    const state = this.#nodes.get(uidOf(name));
    if (state !== undefined) this.#nodes.set(state.uid, { ...state, presence });
    this.revision += 1;
  }

  leave(name: string): void {
    this.#nodes.delete(uidOf(name));
    this.revision += 1;
  }

  put(object: InventoryObject): void {
    const key = keyOf(object);
    const action = this.#objects.has(key) ? 'updated' : 'created';
    this.#objects.set(key, object);
    this.#tell(action, object);
  }

  remove(nodeUid: string, kind: InventoryKind, id: string): void {
    const object = this.object(nodeUid, kind, id);
    if (object === undefined) return;
    this.#objects.delete(keyOf(object));
    this.#tell('deleted', object);
  }

  nodes(): readonly NodeState[] {
    return [...this.#nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  node(key: string): NodeState | undefined {
    return this.nodes().find((node) => node.uid === key || node.name === key);
  }

  objects(kind: InventoryKind, nodeUid?: string): readonly InventoryObject[] {
    return [...this.#objects.values()].filter(
      (one) => one.kind === kind && (nodeUid === undefined || one.nodeUid === nodeUid),
    );
  }

  object(nodeUid: string, kind: InventoryKind, id: string): InventoryObject | undefined {
    return this.#objects.get(keyOf({ nodeUid, kind, id }));
  }

  contents(nodeUid: string): NodeContents {
    const documents = [...this.#objects.values()]
      .filter((one) => one.nodeUid === nodeUid && one.kind !== 'container' && one.kind !== 'vm')
      .flatMap(({ document }) => document ?? []);
    return { guests: this.guests(nodeUid), documents };
  }

  guests(nodeUid?: string): readonly GuestSummary[] {
    return [...this.objects('container', nodeUid), ...this.objects('vm', nodeUid)].map(summary);
  }

  guestsByVmid(vmid: number): readonly GuestSummary[] {
    return this.guests().filter((guest) => guest.vmid === vmid);
  }

  container({ key }: GuestKeyInput): InventoryObject {
    const guest = this.guests().find(
      (one) => one.kind === 'container' && (String(one.vmid) === key || one.name === key),
    );
    const object = guest === undefined ? undefined : this.object(guest.nodeUid, 'container', String(guest.vmid));
    if (object === undefined) throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: key, where: '' });
    return object;
  }

  watch(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Whoever watched is gone. */
  unwatch(): void {
    this.#listeners.clear();
  }

  #tell(action: ViewAction, object: InventoryObject): void {
    for (const listener of this.#listeners) listener({ action, object });
  }
}

function nodeState(sketch: NodeSketch): NodeState {
  const at = new Date(0);
  return {
    uid: uidOf(sketch.name),
    name: sketch.name,
    address: '127.0.0.1:7450',
    presence: sketch.presence ?? 'up',
    lastSeenAt: at,
    joinedAt: at,
    certificateExpiresAt: at,
    generation: 1n,
    document: nodeDocument(sketch),
    metrics: undefined,
  };
}

function keyOf({ nodeUid, kind, id }: { nodeUid: string; kind: string; id: string }): string {
  return `${nodeUid} ${kind} ${id}`;
}

function summary(object: InventoryObject): GuestSummary {
  const { document, nodeUid, nodeName } = object;
  const guest = document === undefined ? undefined : guestViewOf(document);
  if (guest === undefined) throw new Error('no guest');
  return { ...guest, nodeUid, nodeName };
}
