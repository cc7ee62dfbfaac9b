/** A small fleet with fixed data: what the fake controller answers about nodes and their objects. */
import { InventoryDocument, InventoryObject } from '@pxmgr/contract/common';
import { Check, GetStatusResponse, Node, Presence } from '@pxmgr/contract/controller';

export const NOW = new Date('2026-11-20T12:00:00Z');
const GIB = 1024n ** 3n;

export function ago(seconds: number): Date {
  return new Date(NOW.getTime() - seconds * 1000);
}

const DIGEST = `sha256:${'1a43dbe62d7d5431'.repeat(4)}`;

export const NODES: readonly Node[] = [
  Node.fromPartial({
    uid: 'n-aaaaaaaaaaaaaaaa',
    name: 'pve1',
    presence: Presence.PRESENCE_UP,
    lastSeenAt: ago(3),
    joinedAt: ago(86_400),
    certificateExpiresAt: ago(-30 * 86_400),
    generation: 7n,
    memoryUsedBytes: 6n * GIB,
    memoryTotalBytes: 32n * GIB,
    load1: 0.42,
    uptimeSeconds: 93_600n,
    memoryReservedBytes: GIB / 2n,
    containers: 2,
    containersRunning: 1,
    gpus: 1,
    document: {
      pveVersion: '9.2.11',
      kernel: '6.17.2-1-pve',
      cpuModel: 'AMD EPYC 7302P',
      cpuCores: 16,
      memoryBytes: 32n * GIB,
      agentVersion: '0.1.0',
      architecture: 'amd64',
      quorate: true,
      capabilities: ['container.lxc', 'container.oci'],
      tools: { pct: '6.1.10', 'nvidia-smi': '' },
      agentAddress: '192.0.2.1:7450',
      notes: ['no ZFS pool'],
      failures: [{ source: '/etc/pve/storage.cfg', problem: { code: 'PXM_FILE_DENIED', message: 'no permission' } }],
    },
  }),
  Node.fromPartial({
    uid: 'n-bbbbbbbbbbbbbbbb',
    name: 'pve2',
    presence: Presence.PRESENCE_DOWN,
    lastSeenAt: ago(4000),
    joinedAt: ago(90_000),
  }),
];

interface Thing {
  readonly kind: string;
  readonly id: string;
  readonly document: Parameters<typeof InventoryDocument.fromPartial>[0]['document'];
}

function object(thing: Thing): InventoryObject {
  return InventoryObject.fromPartial({
    kind: thing.kind,
    id: thing.id,
    nodeUid: 'n-aaaaaaaaaaaaaaaa',
    nodeName: 'pve1',
    generation: 7n,
    revision: 3n,
    observedAt: ago(95),
    document: InventoryDocument.fromPartial({ document: thing.document }),
  });
}

const WEB = {
  vmid: 100,
  name: 'web',
  status: 'running',
  guestUid: 'fefdcf0dc1a7a955a0138664c10539e8',
  cores: 2,
  memoryBytes: GIB,
  osType: 'alpine',
  unprivileged: true,
  onBoot: true,
  tags: ['pxmgr', 'shop'],
  addresses: ['198.51.100.10/24'],
  imageReference: 'registry.example.org/shop/web:1.27',
  imageDigest: DIGEST,
  entrypoint: '/usr/local/bin/serve',
  snapshots: ['before-upgrade', 'nightly'],
  snapshotDetails: [
    { name: 'before-upgrade', createdAt: ago(172_800), description: 'nginx 1.26, before 1.27' },
    { name: 'nightly', createdAt: ago(7200), parent: 'before-upgrade' },
  ],
  config: { parent: 'nightly' },
  mountPoints: [
    { key: 'rootfs', target: '/', volume: 'local-zfs:subvol-100-disk-0', sizeBytes: 4n * GIB },
    { key: 'mp0', target: '/data', volume: 'local-zfs:subvol-100-disk-1', sizeBytes: 8n * GIB },
    { key: 'mp1', target: '/media', volume: '/tank/media', readOnly: true },
  ],
  networks: [{ key: 'net0', name: 'eth0', bridge: 'vmbr0', mac: 'BC:24:11:4B:F5:56', ipv4: '198.51.100.10/24' }],
  devices: [
    { key: 'dev0', path: '/dev/dri/renderD128', gid: 104, mode: '0660' },
    { key: 'dev1', path: '/dev/kfd', gid: 44 },
  ],
};

export const OBJECTS: readonly InventoryObject[] = [
  object({ kind: 'container', id: '100', document: { $case: 'container', value: WEB } }),
  object({
    kind: 'container',
    id: '4711',
    document: {
      $case: 'container',
      value: {
        vmid: 4711,
        name: 'a-container-with-a-long-name',
        status: 'stopped',
        lock: 'backup',
        memoryBytes: GIB / 2n,
      },
    },
  }),
  object({
    kind: 'image',
    id: DIGEST,
    document: {
      $case: 'image',
      value: {
        digest: DIGEST,
        references: ['registry.example.org/shop/web:1.27'],
        platform: 'linux/amd64',
        sizeBytes: 57n * 1024n * 1024n,
        volumeId: 'local:vztmpl/web_1.27-amd64-1a43dbe62d7d.tar',
        pulledAt: ago(7300),
      },
    },
  }),
  object({
    kind: 'template',
    id: 'local:vztmpl/debian-12.tar.zst',
    document: {
      $case: 'template',
      value: { volumeId: 'local:vztmpl/debian-12.tar.zst', sizeBytes: 120n * 1024n * 1024n },
    },
  }),
  object({
    kind: 'gpu',
    id: '0000:01:00.0',
    document: {
      $case: 'gpu',
      value: {
        address: '0000:01:00.0',
        vendor: 'nvidia',
        model: 'NVIDIA GeForce RTX 3060',
        driver: 'nvidia',
        vramBytes: 12n * GIB,
        devicePaths: ['/dev/nvidia0'],
        usedBy: [100],
      },
    },
  }),
  object({
    kind: 'gpu',
    id: '0000:00:02.0',
    document: { $case: 'gpu', value: { address: '0000:00:02.0', vendor: 'intel', pciId: '8086:4680', driver: 'i915' } },
  }),
  object({
    kind: 'usb',
    id: '1-4',
    document: {
      $case: 'usb',
      value: {
        id: '1-4',
        vendorId: '1a6e',
        productId: '089a',
        product: 'Coral',
        devicePaths: ['/dev/bus/usb/001/002'],
      },
    },
  }),
  object({
    kind: 'storage',
    id: 'local',
    document: {
      $case: 'storage',
      value: {
        id: 'local',
        type: 'dir',
        content: ['iso', 'vztmpl', 'backup'],
        path: '/var/lib/vz',
        enabled: true,
        active: true,
        totalBytes: 94n * GIB,
        availableBytes: 61n * GIB,
      },
    },
  }),
  object({
    kind: 'storage',
    id: 'local-zfs',
    document: {
      $case: 'storage',
      value: {
        id: 'local-zfs',
        type: 'zfspool',
        content: ['rootdir', 'images'],
        pool: 'rpool/data',
        enabled: true,
        active: true,
        totalBytes: 930n * GIB,
        availableBytes: 512n * GIB,
      },
    },
  }),
  object({
    kind: 'storage',
    id: 'media',
    document: {
      $case: 'storage',
      value: { id: 'media', type: 'nfs', content: ['vztmpl'], path: '/mnt/pve/media', shared: true, enabled: true },
    },
  }),
  object({
    kind: 'dataset',
    id: 'tank/media',
    document: {
      $case: 'dataset',
      value: {
        name: 'tank/media',
        usedBytes: 3n * 1024n * GIB,
        availableBytes: 5n * 1024n * GIB,
        refquotaBytes: 4n * 1024n * GIB,
        mounted: true,
        mountpoint: '/tank/media',
      },
    },
  }),
];

export const STATUS = GetStatusResponse.fromPartial({
  controllerVersion: '0.1.0',
  startedAt: ago(3725),
  natsUrl: 'tls://127.0.0.1:4222',
  natsConnected: true,
  natsSupervised: true,
  nodesUp: 1,
  nodesDown: 1,
  objects: { container: 2, storage: 3, dataset: 1, image: 1, template: 1, gpu: 2, usb: 1 },
  containersRunning: 1,
  changes: 42n,
  databaseBytes: 262_144n,
});

export const CHECKS: readonly Check[] = [
  Check.fromPartial({ code: 'CHECK_DATABASE', title: 'database', status: 'ok', detail: 'controller.db, 256 KiB' }),
  Check.fromPartial({
    code: 'CHECK_AGENT_CALL',
    title: 'agents answer calls',
    status: 'failed',
    detail: 'pve2: the agent on pve2 does not answer',
    fix: 'the controller must reach the agents at their address (port 7450): check firewalls',
  }),
  Check.fromPartial({ code: 'CHECK_CLOCK', title: 'clocks agree', status: 'warning', detail: 'pve2 is 7 s ahead' }),
];

export const IMAGE_DIGEST = DIGEST;
