/**
 * Hardware of a stand-in host as sysfs, /dev and /proc show it: GPUs of three vendors and USB devices. Device nodes are
 * real character devices that lead to the null device, so a guest can be given one; without root they are plain files.
 * File names and contents follow the Linux drivers (amdgpu, i915/xe, NVIDIA's open kernel modules) and lspci's ids.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { Host } from './host.ts';
import { isRoot, runProgram } from './machine.ts';

export type GpuKind = 'nvidia' | 'amd' | 'intel';

export interface GpuSpec {
  readonly kind: GpuKind;
  /** `0000:01:00.0` */
  readonly address: string;
  /** `vfio-pci` gives the card to VMs: it then has no drm nodes. Default: the vendor's driver. */
  readonly driver?: string;
  readonly vramBytes?: number;
  readonly iommuGroup?: number;
}

export interface UsbSpec {
  /** Bus and port path: `1-4.2`. */
  readonly id: string;
  readonly vendorId: string;
  readonly productId: string;
  readonly manufacturer: string;
  readonly product: string;
  readonly serial: string;
  /** Kind of its serial port, for devices that have one. */
  readonly port?: 'ttyUSB' | 'ttyACM';
}

/** A plug-in accelerator that many have at home. */
export const CORAL: UsbSpec = {
  id: '1-4',
  vendorId: '1a6e',
  productId: '089a',
  manufacturer: 'Global Unichip',
  product: 'Coral',
  serial: '0001',
};

interface Model {
  readonly vendor: string;
  readonly vendorName: string;
  readonly device: string;
  readonly name: string;
  readonly driver: string;
  readonly vramBytes: number;
}

const GIB = 1024 ** 3;
const MODELS: Readonly<Record<GpuKind, Model>> = {
  nvidia: {
    vendor: '10de',
    vendorName: 'NVIDIA Corporation',
    device: '2503',
    name: 'GA106 [GeForce RTX 3060]',
    driver: 'nvidia',
    vramBytes: 12 * GIB,
  },
  amd: {
    vendor: '1002',
    vendorName: 'Advanced Micro Devices, Inc. [AMD/ATI]',
    device: '744c',
    name: 'Navi 31 [Radeon RX 7900 XT/7900 XTX]',
    driver: 'amdgpu',
    vramBytes: 24 * GIB,
  },
  intel: {
    vendor: '8086',
    vendorName: 'Intel Corporation',
    device: '4680',
    name: 'AlderLake-S GT1',
    driver: 'i915',
    vramBytes: 0,
  },
};
const PRODUCT: Readonly<Record<GpuKind, string>> = {
  nvidia: 'NVIDIA GeForce RTX 3060',
  amd: 'AMD Radeon RX 7900 XTX',
  intel: 'Intel UHD Graphics 770',
};

const VIDEO_GID = 44;
const RENDER_GID = 104;
const DIALOUT_GID = 20;
const PCI = '/sys/bus/pci/devices';
const NVIDIA_SHARED = ['nvidiactl', 'nvidia-modeset', 'nvidia-uvm', 'nvidia-uvm-tools'] as const;

export async function addGpu(host: Host, spec: GpuSpec): Promise<void> {
  const model = MODELS[spec.kind];
  const driver = spec.driver ?? model.driver;
  const real = `/sys/devices/pci0000:00/${spec.address}`;
  const index = countOf(host, PCI, (name) => isDisplay(host, name));
  const group = spec.iommuGroup ?? 14 + index;
  put(host, `${real}/vendor`, `0x${model.vendor}\n`);
  put(host, `${real}/device`, `0x${model.device}\n`);
  put(host, `${real}/class`, '0x030000\n');
  put(host, `${real}/subsystem_vendor`, '0x1462\n');
  put(host, `${real}/subsystem_device`, '0x3976\n');
  mkdirSync(host.path(`/sys/bus/pci/drivers/${driver}`), { recursive: true });
  mkdirSync(host.path(`/sys/kernel/iommu_groups/${group}`), { recursive: true });
  link(host, `${real}/driver`, `/sys/bus/pci/drivers/${driver}`);
  link(host, `${real}/iommu_group`, `/sys/kernel/iommu_groups/${group}`);
  link(host, `${PCI}/${spec.address}`, real);
  addPciId(host, model);
  writeGroups(host);
  if (driver === 'vfio-pci') return;
  const vramBytes = spec.vramBytes ?? model.vramBytes;
  if (spec.kind === 'amd') {
    put(host, `${real}/mem_info_vram_total`, `${vramBytes}\n`);
    put(host, `${real}/product_name`, `${PRODUCT.amd}\n`);
    await node(host, '/dev/kfd', { gid: RENDER_GID, mode: 0o660 });
  }
  await addDrm(host, { real, address: spec.address, index });
  if (spec.kind === 'nvidia') await addNvidia(host, { address: spec.address, vramBytes });
}

async function addDrm(host: Host, at: { real: string; address: string; index: number }): Promise<void> {
  const { real, address, index } = at;
  for (const [name, suffix, gid] of [
    [`card${index}`, 'card', VIDEO_GID],
    [`renderD${128 + index}`, 'render', RENDER_GID],
  ] as const) {
    put(host, `${real}/drm/${name}/dev`, `226:${name.replace(/\D+/, '')}\n`);
    link(host, `${real}/drm/${name}/device`, real);
    link(host, `/sys/class/drm/${name}`, `${real}/drm/${name}`);
    await node(host, `/dev/dri/${name}`, { gid, mode: 0o660 });
    link(host, `/dev/dri/by-path/pci-${address}-${suffix}`, `/dev/dri/${name}`);
  }
}

async function addNvidia(host: Host, card: { address: string; vramBytes: number }): Promise<void> {
  const minor = countOf(host, '/dev', (name) => /^nvidia\d+$/.test(name));
  const facts = [
    `Model: \t\t ${PRODUCT.nvidia}`,
    'IRQ:   \t\t 140',
    `GPU UUID: \t GPU-11111111-2222-3333-4444-55555555555${minor}`,
    `Bus Location: \t ${card.address}`,
    `Device Minor: \t ${minor}`,
  ];
  put(host, `/proc/driver/nvidia/gpus/${card.address}/information`, `${facts.join('\n')}\n`);
  put(host, '/proc/driver/nvidia/version', 'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05\n');
  put(host, `/proc/driver/nvidia/gpus/${card.address}/standin_memory_mib`, `${card.vramBytes / 1024 ** 2}\n`);
  for (const name of [`nvidia${minor}`, ...NVIDIA_SHARED]) await node(host, `/dev/${name}`, { gid: 0, mode: 0o666 });
}

/** Takes the card out again, as after a failed riser or a changed slot. */
export function removeGpu(host: Host, address: string): void {
  const drm = host.path(`/sys/devices/pci0000:00/${address}/drm`);
  for (const name of existsSync(drm) ? readdirSync(drm) : [])
    for (const path of [`/dev/dri/${name}`, `/sys/class/drm/${name}`]) rmSync(host.path(path), { force: true });
  const nvidia = `/proc/driver/nvidia/gpus/${address}`;
  const minor = existsSync(host.path(nvidia))
    ? /Device Minor:\s*(\d+)/.exec(readFileSync(host.path(`${nvidia}/information`), 'utf8'))?.[1]
    : undefined;
  if (minor !== undefined) rmSync(host.path(`/dev/nvidia${minor}`), { force: true });
  for (const path of [
    nvidia,
    `${PCI}/${address}`,
    `/sys/devices/pci0000:00/${address}`,
    `/dev/dri/by-path/pci-${address}-card`,
    `/dev/dri/by-path/pci-${address}-render`,
  ]) {
    rmSync(host.path(path), { recursive: true, force: true });
  }
}

export async function addUsb(host: Host, spec: UsbSpec): Promise<void> {
  const real = `/sys/devices/pci0000:00/0000:00:14.0/usb${spec.id.split('-')[0] ?? '1'}/${spec.id}`;
  const busnum = Number(spec.id.split('-')[0] ?? '1');
  const devnum = 2 + countOf(host, '/sys/bus/usb/devices', (name) => /^\d+-[\d.]+$/.test(name));
  const attributes = {
    idVendor: spec.vendorId,
    idProduct: spec.productId,
    manufacturer: spec.manufacturer,
    product: spec.product,
    serial: spec.serial,
    bDeviceClass: '00',
    busnum: String(busnum),
    devnum: String(devnum),
  };
  for (const [name, value] of Object.entries(attributes)) put(host, `${real}/${name}`, `${value}\n`);
  link(host, `/sys/bus/usb/devices/${spec.id}`, real);
  await node(host, `/dev/bus/usb/${pad(busnum)}/${pad(devnum)}`, { gid: 0, mode: 0o664 });
  if (spec.port === undefined) return;
  const port = `${spec.port}${countOf(host, '/dev', (name) => name.startsWith(spec.port ?? ''))}`;
  put(host, `${real}/${spec.id}:1.0/${spec.port === 'ttyACM' ? 'tty/' : ''}${port}/dev`, '188:0\n');
  await node(host, `/dev/${port}`, { gid: DIALOUT_GID, mode: 0o660 });
  const word = (text: string): string => text.replace(/[^A-Za-z0-9#+\-.:=@_]/g, '_');
  link(
    host,
    `/dev/serial/by-id/usb-${word(spec.manufacturer)}_${word(spec.product)}_${word(spec.serial)}-if00${spec.port === 'ttyUSB' ? '-port0' : ''}`,
    `/dev/${port}`,
  );
}

/** Pulls the plug. */
export function removeUsb(host: Host, id: string): void {
  const real = `/sys/devices/pci0000:00/0000:00:14.0/usb${id.split('-')[0] ?? '1'}/${id}`;
  const attribute = (name: string): string => pad(Number(readFileSync(host.path(`${real}/${name}`), 'utf8')));
  const ports = readdirSync(host.path(real), { recursive: true, encoding: 'utf8' })
    .map((path) => basename(path))
    .filter((name) => /^tty(USB|ACM)\d+$/.test(name));
  const byId = host.path('/dev/serial/by-id');
  for (const name of existsSync(byId) ? readdirSync(byId) : [])
    if (ports.some((port) => linkLeadsTo(join(byId, name), port))) rmSync(join(byId, name));
  for (const path of [
    `/dev/bus/usb/${attribute('busnum')}/${attribute('devnum')}`,
    ...ports.map((port) => `/dev/${port}`),
    `/sys/bus/usb/devices/${id}`,
    real,
  ])
    rmSync(host.path(path), { recursive: true, force: true });
}

/** What nvidia-smi knows: bus id in its own spelling and memory in MiB. */
export function nvidiaCards(host: Host): { busId: string; memoryMib: string; model: string }[] {
  const folder = host.path('/proc/driver/nvidia/gpus');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((address) => ({
      busId: `0000${address}`.toUpperCase(),
      memoryMib: readFileSync(join(folder, address, 'standin_memory_mib'), 'utf8').trim(),
      model: PRODUCT.nvidia,
    }));
}

function linkLeadsTo(path: string, name: string): boolean {
  return basename(readlinkSync(path)) === name;
}

function isDisplay(host: Host, name: string): boolean {
  return readFileSync(host.path(`${PCI}/${name}/class`), 'utf8').startsWith('0x03');
}

function countOf(host: Host, folder: string, counts: (name: string) => boolean): number {
  return existsSync(host.path(folder)) ? readdirSync(host.path(folder)).filter(counts).length : 0;
}

function put(host: Host, path: string, text: string): void {
  mkdirSync(dirname(host.path(path)), { recursive: true });
  writeFileSync(host.path(path), text);
}

/** A relative link, so that it stays inside the host's directory. */
function link(host: Host, path: string, target: string): void {
  mkdirSync(dirname(host.path(path)), { recursive: true });
  rmSync(host.path(path), { force: true });
  symlinkSync(relative(dirname(path), target), host.path(path));
}

async function node(host: Host, path: string, access: { gid: number; mode: number }): Promise<void> {
  const real = host.path(path);
  if (existsSync(real)) return;
  mkdirSync(dirname(real), { recursive: true });
  if (!isRoot()) {
    writeFileSync(real, 'a device node of a stand-in host that was not made by root\n');
    return;
  }
  const made = await runProgram({
    file: 'mknod',
    args: [real, 'c', '1', '3'],
    purpose: 'make a device node',
    timeoutMs: 10_000,
  });
  if (made.exitCode !== 0) {
    writeFileSync(real, `no device node: ${made.stderr}`);
    return;
  }
  chownSync(real, 0, access.gid);
  chmodSync(real, access.mode);
}

function writeGroups(host: Host): void {
  const path = host.path('/etc/group');
  if (!existsSync(path))
    put(
      host,
      '/etc/group',
      `root:x:0:\ntty:x:5:\ndialout:x:${DIALOUT_GID}:\nvideo:x:${VIDEO_GID}:\nrender:x:${RENDER_GID}:\n`,
    );
}

function addPciId(host: Host, model: Model): void {
  const path = '/usr/share/misc/pci.ids';
  const before = existsSync(host.path(path)) ? readFileSync(host.path(path), 'utf8') : '';
  const entry = `${model.vendor}  ${model.vendorName}\n\t${model.device}  ${model.name}\n`;
  if (!before.includes(entry)) put(host, path, `${before}${entry}`);
}

function pad(n: number): string {
  return String(n).padStart(3, '0');
}
