/** Inventory documents of one node -> the scheduler's view of it. */
import type {
  ContainerDocument,
  GpuDocument,
  InventoryDocument,
  NodeDocument,
  StorageDocument,
  VmDocument,
} from '@pxmgr/contract/common';
import type { NodeContents } from './fleet-view.ts';
import type { GuestView } from './guest.ts';
import type { Presence } from './node-state.ts';
import { countedCores, type DatasetView, type GpuView, type NodeSnapshot, type StorageView } from './snapshot.ts';

export interface NodeHead {
  readonly uid: string;
  readonly name: string;
  readonly presence: Presence;
  /** Undefined until the node's first inventory arrived. */
  readonly document: NodeDocument | undefined;
}

interface Parts {
  readonly guests: ReadonlyMap<number, GuestView>;
  readonly storages: Map<string, StorageView>;
  readonly datasets: Map<string, DatasetView>;
  readonly gpus: GpuView[];
  readonly usbPaths: Map<string, string>;
  readonly bridges: Set<string>;
  readonly images: Set<string>;
  readonly templates: Set<string>;
}

/** Names of `uname -m` and of image platforms are both accepted. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  x64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'arm',
  i686: '386',
};

export function platformArchitecture(text: string): string {
  return ARCHITECTURES[text] ?? text;
}

/** Pure; the order of the documents does not matter, kinds that decide nothing are passed over. */
export function buildNodeSnapshot(head: NodeHead, { guests, documents }: NodeContents): NodeSnapshot {
  const parts: Parts = {
    guests: new Map(guests.map((guest) => [guest.vmid, guest])),
    storages: new Map(),
    datasets: new Map(),
    gpus: [],
    usbPaths: new Map(),
    bridges: new Set(),
    images: new Set(),
    templates: new Set(),
  };
  for (const { document } of documents) if (document !== undefined) takeDocument(parts, document);
  parts.gpus.sort((a, b) => (a.address < b.address ? -1 : 1));
  return {
    uid: head.uid,
    name: head.name,
    presence: head.presence,
    ...facts(head.document),
    ...sums(parts.guests),
    imageGuests: imageGuests(parts.guests),
    roots: rootsOf(parts),
    ...parts,
  };
}

type Facts = Pick<
  NodeSnapshot,
  'known' | 'cluster' | 'quorate' | 'architecture' | 'capabilities' | 'cores' | 'memoryBytes'
>;

function facts(document: NodeDocument | undefined): Facts {
  if (document === undefined) {
    const nothing = { cluster: '', quorate: false, architecture: '', capabilities: new Set<string>() };
    return { known: false, ...nothing, cores: 0, memoryBytes: 0 };
  }
  return {
    known: true,
    cluster: document.cluster,
    quorate: document.quorate,
    architecture: platformArchitecture(document.architecture),
    capabilities: new Set(document.capabilities),
    cores: document.cpuCores,
    memoryBytes: Number(document.memoryBytes),
  };
}

type DocumentValue = NonNullable<InventoryDocument['document']>;

type Shared = (text: string) => string;

/** undefined for what is no guest. `shared` may give one string for equal ones: guests have few states and images. */
export function guestViewOf({ document }: InventoryDocument, shared: Shared = (text) => text): GuestView | undefined {
  if (document?.$case === 'container') return containerView(document.value, shared);
  return document?.$case === 'vm' ? vmView(document.value, shared) : undefined;
}

function takeDocument(parts: Parts, document: DocumentValue): void {
  switch (document.$case) {
    case 'storage':
      parts.storages.set(document.value.id, storageView(document.value));
      break;
    case 'image':
      parts.images.add(document.value.digest);
      break;
    case 'template':
      parts.templates.add(document.value.volumeId);
      break;
    default:
      takeHardware(parts, document);
  }
}

function takeHardware(parts: Parts, document: DocumentValue): void {
  if (document.$case === 'dataset') {
    const { name, mountpoint, mounted } = document.value;
    parts.datasets.set(name, { name, mountpoint, mounted });
  }
  if (document.$case === 'gpu') parts.gpus.push(gpuView(document.value));
  if (document.$case === 'usb')
    for (const path of document.value.devicePaths) parts.usbPaths.set(path, document.value.id);
  if (document.$case === 'network' && document.value.type === 'bridge') parts.bridges.add(document.value.name);
}

/** Most guests have no devices: they share this. */
const NO_PATHS: readonly string[] = [];

function containerView(doc: ContainerDocument, shared: Shared): GuestView {
  return {
    kind: 'container',
    vmid: doc.vmid,
    name: doc.name,
    status: shared(doc.status),
    guestUid: doc.guestUid,
    ...sizesOf(doc),
    template: doc.template,
    protection: doc.protection,
    lock: shared(doc.lock),
    imageDigest: shared(doc.imageDigest),
    devicePaths: doc.devices.length === 0 ? NO_PATHS : doc.devices.map((device) => device.path),
  };
}

function vmView(doc: VmDocument, shared: Shared): GuestView {
  const { vmid, name, template } = doc;
  return {
    kind: 'vm',
    vmid,
    name,
    status: shared(doc.status),
    guestUid: '',
    ...sizesOf(doc),
    template,
    protection: false,
    lock: shared(doc.lock),
    imageDigest: '',
    devicePaths: NO_PATHS,
  };
}

type Sized = Pick<ContainerDocument & VmDocument, 'cores' | 'memoryBytes' | 'pendingCores' | 'pendingMemoryBytes'>;

/** What waits for a restart has been granted: nobody else gets that room. What becomes less is in use until then. */
function sizesOf(doc: Sized): Pick<GuestView, 'cores' | 'memoryBytes'> {
  return {
    cores: doc.pendingCores > countedCores(doc.cores) ? doc.pendingCores : doc.cores,
    memoryBytes: Math.max(Number(doc.memoryBytes), Number(doc.pendingMemoryBytes)),
  };
}

function storageView(doc: StorageDocument): StorageView {
  const { id, type, content, path, shared } = doc;
  return {
    id,
    type,
    content,
    path,
    shared,
    usable: doc.enabled && doc.active,
    totalBytes: Number(doc.totalBytes),
    availableBytes: Number(doc.availableBytes),
  };
}

function gpuView(doc: GpuDocument): GpuView {
  return {
    address: doc.address,
    vendor: doc.vendor,
    model: doc.model,
    vramBytes: Number(doc.vramBytes),
    devicePaths: doc.devicePaths,
    usedBy: doc.usedBy,
  };
}

function sums(
  guests: ReadonlyMap<number, GuestView>,
): Pick<NodeSnapshot, 'runningMemoryBytes' | 'guestMemoryBytes' | 'guestCores'> {
  let runningMemoryBytes = 0;
  let guestMemoryBytes = 0;
  let guestCores = 0;
  for (const guest of guests.values()) {
    if (guest.template) continue;
    guestMemoryBytes += guest.memoryBytes;
    guestCores += countedCores(guest.cores);
    if (guest.status === 'running') runningMemoryBytes += guest.memoryBytes;
  }
  return { runningMemoryBytes, guestMemoryBytes, guestCores };
}

function imageGuests(guests: ReadonlyMap<number, GuestView>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { imageDigest } of guests.values()) {
    if (imageDigest !== '') counts.set(imageDigest, (counts.get(imageDigest) ?? 0) + 1);
  }
  return counts;
}

/** "/" is left out: it would hold every path and say nothing. */
function rootsOf(parts: Parts): string[] {
  const roots = new Set<string>();
  for (const dataset of parts.datasets.values()) if (dataset.mounted) roots.add(dataset.mountpoint);
  for (const storage of parts.storages.values()) if (storage.usable) roots.add(storage.path);
  return [...roots].filter((root) => root.startsWith('/') && root !== '/').sort();
}
