/**
 * device/: what can be given to a guest. This file finds the GPUs of the node: sysfs for all three vendors, stable
 * names below /dev/dri/by-path, memory from the driver. Reading only, except that the memory of an NVIDIA card is asked
 * of `nvidia-smi`, since no file tells it. The room may call host and exec; it knows nothing of guests.
 */
import type { PciAddress } from '@pxmgr/contract';
import { parsePciAddress } from '@pxmgr/contract';
import type { Runner } from '@pxmgr/kit/exec/command';
import { expectSuccess } from '@pxmgr/kit/exec/failure';
import type { HostPaths } from '../host/paths.ts';
import { deviceName } from './pci-ids.ts';

export type GpuVendor = 'amd' | 'intel' | 'nvidia' | 'other';

export interface Gpu {
  readonly address: PciAddress;
  readonly vendor: GpuVendor;
  readonly model: string;
  /** Kernel driver in use; empty for none, `vfio-pci` when it is held for a VM. */
  readonly driver: string;
  /** 0 when the card shares the system's memory or no driver tells. */
  readonly vramBytes: bigint;
  /** One path per node that a guest needs, the stable spelling where there is one. */
  readonly devicePaths: readonly string[];
  /** Every spelling of its own nodes, for finding out who uses it. */
  readonly aliases: readonly string[];
  /** The render node among `devicePaths`; empty when there is none. */
  readonly renderNode: string;
  /** 0 when the IOMMU is off. */
  readonly iommuGroup: number;
  /** 10de:2503 */
  readonly pciId: string;
}

const PCI = '/sys/bus/pci/devices';
const BY_PATH = '/dev/dri/by-path';
const VENDORS: Readonly<Record<string, GpuVendor>> = { '1002': 'amd', '8086': 'intel', '10de': 'nvidia' };
/** Needed besides /dev/nvidiaN (NVIDIA/nvidia-container-toolkit internal/system/nvdevices). */
const NVIDIA_SHARED = ['/dev/nvidiactl', '/dev/nvidia-modeset', '/dev/nvidia-uvm', '/dev/nvidia-uvm-tools'];

function hexAttribute(paths: HostPaths, path: string): string {
  return (paths.attribute(path) ?? '').replace(/^0x/, '').toLowerCase();
}

function linkName(paths: HostPaths, path: string): string {
  return paths.link(path)?.split('/').pop() ?? '';
}

/** Link names of /dev/dri/by-path, by the node they point to. */
function stableNames(paths: HostPaths): Map<string, string> {
  const links = paths
    .list(BY_PATH)
    .map((name) => [linkName(paths, `${BY_PATH}/${name}`), `${BY_PATH}/${name}`] as const);
  return new Map(links);
}

interface DrmNodes {
  readonly render: string;
  readonly card: string;
  readonly aliases: readonly string[];
}

function drmNodes(paths: HostPaths, address: string, stable: ReadonlyMap<string, string>): DrmNodes {
  const nodes = paths.list(`${PCI}/${address}/drm`);
  const spell = (name: string | undefined): string => {
    if (name === undefined) return '';
    return stable.get(name) ?? (paths.exists(`/dev/dri/${name}`) ? `/dev/dri/${name}` : '');
  };
  return {
    render: spell(nodes.find((name) => /^renderD\d+$/.test(name))),
    card: spell(nodes.find((name) => /^card\d+$/.test(name))),
    aliases: nodes.flatMap((name) => [`/dev/dri/${name}`, stable.get(name) ?? '']).filter((path) => path !== ''),
  };
}

interface NvidiaFacts {
  readonly model: string;
  readonly minor: string;
}

/** The kernel module's own file; its folder is spelled with a domain of four digits. */
function nvidiaFacts(paths: HostPaths, address: string): NvidiaFacts {
  const text = paths.readIfThere(`/proc/driver/nvidia/gpus/${address}/information`) ?? '';
  const value = (name: string): string => new RegExp(`^${name}:\\s*(.+)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  return { model: value('Model'), minor: value('Device Minor') };
}

/** amdgpu mem_info_vram_total; xe physical_vram_size_bytes per tile; i915 lmem_total_bytes. */
function vramFromSysfs(paths: HostPaths, address: string): bigint {
  const base = `${PCI}/${address}`;
  const number = (path: string): bigint => {
    const text = paths.attribute(path) ?? '';
    return /^(?:0x[0-9a-f]+|[0-9]+)$/i.test(text) ? BigInt(text) : 0n;
  };
  const amd = number(`${base}/mem_info_vram_total`);
  if (amd > 0n) return amd;
  const tiles = paths.list(base).filter((name) => /^tile\d+$/.test(name));
  const xe = tiles.reduce((sum, tile) => sum + number(`${base}/${tile}/physical_vram_size_bytes`), 0n);
  if (xe > 0n) return xe;
  const card = paths.list(`${base}/drm`).find((name) => /^card\d+$/.test(name));
  return card === undefined ? 0n : number(`${base}/drm/${card}/lmem_total_bytes`);
}

/** `nvidia-smi` writes the domain with eight digits. */
export function parseNvidiaMemory(text: string): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const line of text.split('\n')) {
    const [bus = '', total = ''] = line.split(',').map((part) => part.trim());
    const address = parsePciAddress(bus.replace(/^0000(?=[0-9a-f]{4}:)/i, ''));
    if (address.ok && /^[0-9]+$/.test(total)) found.set(address.value, BigInt(total) * 1024n * 1024n);
  }
  return found;
}

/** Memory of the NVIDIA cards by address. Errors: PXM_COMMAND_NOT_FOUND, PXM_COMMAND_FAILED, PXM_COMMAND_TIMEOUT. */
export async function readNvidiaMemory(runner: Runner): Promise<Map<string, bigint>> {
  const result = await runner.run({
    file: 'nvidia-smi',
    args: ['--query-gpu=pci.bus_id,memory.total', '--format=csv,noheader,nounits'],
    purpose: 'memory of the NVIDIA cards',
    timeoutMs: 20_000,
    readOnly: true,
  });
  return parseNvidiaMemory(expectSuccess(result).stdout);
}

function nodesOf(paths: HostPaths, vendor: GpuVendor, nodes: { drm: DrmNodes; minor: string }): string[] {
  const own = [nodes.drm.render, nodes.drm.card].filter((path) => path !== '');
  const there = (path: string): boolean => paths.exists(path);
  if (vendor === 'amd') return [...own, ...['/dev/kfd'].filter(there)];
  if (vendor !== 'nvidia' || nodes.minor === '') return own;
  return [...[`/dev/nvidia${nodes.minor}`, ...NVIDIA_SHARED].filter(there), ...own];
}

function readGpu(paths: HostPaths, address: PciAddress, stable: ReadonlyMap<string, string>): Gpu {
  const base = `${PCI}/${address}`;
  const vendorId = hexAttribute(paths, `${base}/vendor`);
  const deviceId = hexAttribute(paths, `${base}/device`);
  const vendor = VENDORS[vendorId] ?? 'other';
  const nvidia = vendor === 'nvidia' ? nvidiaFacts(paths, address) : { model: '', minor: '' };
  const drm = drmNodes(paths, address, stable);
  return {
    address,
    vendor,
    model: nvidia.model !== '' ? nvidia.model : modelName(paths, address, { vendorId, deviceId }),
    driver: linkName(paths, `${base}/driver`),
    vramBytes: vramFromSysfs(paths, address),
    devicePaths: nodesOf(paths, vendor, { drm, minor: nvidia.minor }),
    aliases: [...drm.aliases, ...(nvidia.minor === '' ? [] : [`/dev/nvidia${nvidia.minor}`])],
    renderNode: drm.render,
    iommuGroup: Number(linkName(paths, `${base}/iommu_group`) || '0'),
    pciId: `${vendorId}:${deviceId}`,
  };
}

function modelName(paths: HostPaths, address: string, ids: { vendorId: string; deviceId: string }): string {
  const told = paths.attribute(`${PCI}/${address}/product_name`);
  if (told !== undefined && told !== '') return told;
  return deviceName(paths.readIfThere('/usr/share/misc/pci.ids') ?? '', ids.vendorId, ids.deviceId) ?? '';
}

/** Addresses of all display devices (PCI base class 03): a cheap listing that shows whether a card came or went. */
export function gpuAddresses(paths: HostPaths): PciAddress[] {
  return paths.list(PCI).flatMap((name) => {
    const address = parsePciAddress(name);
    return address.ok && hexAttribute(paths, `${PCI}/${name}/class`).startsWith('03') ? [address.value] : [];
  });
}

/**
 * Every display device. NVIDIA's memory is asked for only when its driver holds a card; when that fails, `onFailure`
 * gets the error and the memory stays 0.
 */
export async function readGpus(paths: HostPaths, runner: Runner, onFailure: (error: unknown) => void): Promise<Gpu[]> {
  const stable = stableNames(paths);
  const gpus = gpuAddresses(paths).map((address) => readGpu(paths, address, stable));
  if (!gpus.some((gpu) => gpu.driver === 'nvidia')) return gpus;
  try {
    const memory = await readNvidiaMemory(runner);
    return gpus.map((gpu) => ({ ...gpu, vramBytes: memory.get(gpu.address) ?? gpu.vramBytes }));
  } catch (error) {
    onFailure(error);
    return gpus;
  }
}
