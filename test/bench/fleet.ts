/** A synthetic fleet from a seed: hosts in clusters of eight and alone, guests, pools, images, GPUs, as inventory documents. */
import { hashDocument, type InventoryKind, PRODUCT_VERSION } from '@pxmgr/contract';
import {
  ContainerDocument,
  GpuDocument,
  ImageDocument,
  InventoryDocument,
  NetworkDocument,
  NodeDocument,
  StorageDocument,
} from '@pxmgr/contract/common';
import { Rng } from '@pxmgr/sim/fleet/rng';

const GIB = 1024n ** 3n;
const MIB = 1024n ** 2n;
const IMAGES = 200;
const CLUSTER_SIZE = 8;
const UID = 'abcdefghijklmnopqrstuvwxyz234567';

export interface SyntheticObject {
  readonly kind: InventoryKind;
  readonly id: string;
  readonly hash: string;
  readonly bytes: Uint8Array;
}

export interface SyntheticNode {
  readonly uid: string;
  readonly name: string;
  readonly objects: readonly SyntheticObject[];
}

export interface FleetSize {
  readonly hosts: number;
  readonly guests: number;
}

type Content = NonNullable<InventoryDocument['document']>;

function object(kind: InventoryKind, id: string, content: Content): SyntheticObject {
  const document: InventoryDocument = { document: content };
  return { kind, id, hash: hashDocument(document), bytes: InventoryDocument.encode(document).finish() };
}

export function digestsOf(seed: number): string[] {
  const rng = new Rng(seed ^ 0x5eed);
  return Array.from({ length: IMAGES }, () => `sha256:${rng.hex(64)}`);
}

function uidOf(index: number): string {
  let rest = index;
  let text = '';
  for (let i = 0; i < 16; i += 1, rest = Math.floor(rest / 32)) text = `${UID.charAt(rest % 32)}${text}`;
  return `n-${text}`;
}

/** One host after the other, so that nobody holds 100,000 documents at once. */
export function* synthesise(size: FleetSize, seed: number): IterableIterator<SyntheticNode> {
  const rng = new Rng(seed);
  const digests = digestsOf(seed);
  const perHost = Math.ceil(size.guests / size.hosts);
  for (let index = 0; index < size.hosts; index += 1) {
    // Three of four hosts are in clusters; a vmid is unique within one.
    const slot = index % CLUSTER_SIZE;
    const cluster = Math.floor(index / CLUSTER_SIZE) % 4 === 3 ? '' : `c${String(Math.floor(index / CLUSTER_SIZE))}`;
    const firstVmid = 100 + (cluster === '' ? 0 : slot * perHost);
    yield {
      uid: uidOf(index),
      name: `pve${String(index + 1).padStart(5, '0')}`,
      objects: [
        ...placeObjects(rng, digests, { index, cluster }),
        ...guestObjects(rng, digests, { firstVmid, perHost }),
      ],
    };
  }
}

function placeObjects(rng: Rng, digests: readonly string[], at: { index: number; cluster: string }): SyntheticObject[] {
  const name = `pve${String(at.index + 1).padStart(5, '0')}`;
  const total = BigInt(rng.int(8, 32)) * 1024n * GIB;
  const disk = { enabled: true, active: true };
  const images = Array.from({ length: rng.int(3, 10) }, () => rng.pick(digests));
  const gpus = rng.next() < 0.2 ? rng.int(1, 2) : 0;
  return [
    object('node', name, {
      $case: 'node',
      value: NodeDocument.fromPartial({
        name,
        cluster: at.cluster,
        quorate: true,
        cpuCores: rng.pick([64, 96, 128]),
        memoryBytes: BigInt(rng.pick([256, 384, 512, 768])) * GIB,
        architecture: 'x86_64',
        agentVersion: PRODUCT_VERSION,
        capabilities: ['container.lxc', 'container.oci', 'image.pull', 'zfs', 'device.passthrough'],
      }),
    }),
    object('storage', 'local', {
      $case: 'storage',
      value: StorageDocument.fromPartial({
        ...disk,
        id: 'local',
        type: 'dir',
        path: '/var/lib/vz',
        content: ['vztmpl', 'iso', 'backup'],
        totalBytes: 200n * GIB,
        availableBytes: BigInt(rng.int(40, 150)) * GIB,
      }),
    }),
    object('storage', 'local-zfs', {
      $case: 'storage',
      value: StorageDocument.fromPartial({
        ...disk,
        id: 'local-zfs',
        type: 'zfspool',
        pool: 'rpool/data',
        content: ['rootdir', 'images'],
        totalBytes: total,
        availableBytes: (total * BigInt(rng.int(40, 90))) / 100n,
      }),
    }),
    object('network', 'vmbr0', {
      $case: 'network',
      value: NetworkDocument.fromPartial({ name: 'vmbr0', type: 'bridge', active: true }),
    }),
    ...[...new Set(images)].map((digest) =>
      object('image', digest, { $case: 'image', value: ImageDocument.fromPartial({ digest }) }),
    ),
    ...Array.from({ length: gpus }, (_, card) => {
      const address = `0000:0${String(card + 1)}:00.0`;
      const value = GpuDocument.fromPartial({
        address,
        vendor: rng.pick(['amd', 'nvidia']),
        vramBytes: BigInt(rng.pick([12, 16, 24, 48])) * GIB,
        devicePaths: [`/dev/dri/by-path/pci-${address}-render`],
      });
      return object('gpu', address, { $case: 'gpu', value });
    }),
  ];
}

function guestObjects(
  rng: Rng,
  digests: readonly string[],
  { firstVmid, perHost }: { firstVmid: number; perHost: number },
): SyntheticObject[] {
  return Array.from({ length: perHost }, (_, index) => {
    const vmid = firstVmid + index;
    return object('container', String(vmid), { $case: 'container', value: guest(rng, digests, vmid) });
  });
}

function guest(rng: Rng, digests: readonly string[], vmid: number): ContainerDocument {
  return ContainerDocument.fromPartial({
    vmid,
    name: `app-${String(vmid)}`,
    status: rng.next() < 0.8 ? 'running' : 'stopped',
    memoryBytes: BigInt(rng.int(4, 16)) * 128n * MIB,
    cores: rng.int(1, 4),
    imageDigest: rng.pick(digests),
    guestUid: rng.hex(32),
    osType: 'debian',
    tags: ['pxmgr'],
  });
}
