/** Facts that change only with a reboot or an update, and the figures that move all the time. */
import { arch } from 'node:os';
import type { HostPaths } from './paths.ts';

export interface NodeFacts {
  readonly kernel: string;
  readonly cpuModel: string;
  readonly cpuCores: number;
  readonly memoryBytes: bigint;
  /** amd64, arm64 as Debian spells them. */
  readonly architecture: string;
  /** Maker and product; empty when the firmware does not tell. */
  readonly systemModel: string;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'armhf', ia32: 'i386' };

/** `MemTotal: 123 kB` lines as bytes. */
export function parseMeminfo(text: string): Map<string, bigint> {
  const rows = [...text.matchAll(/^([A-Za-z_()0-9]+):\s+([0-9]+)(?: kB)?$/gm)];
  return new Map(rows.map((row) => [row[1] ?? '', BigInt(row[2] ?? '0') * 1024n]));
}

function cpu(text: string): { model: string; cores: number } {
  // ARM kernels print no "model name"; "Model" is the board there.
  const model = /^model name\s*:\s*(.+)$/m.exec(text)?.[1] ?? /^Model\s*:\s*(.+)$/m.exec(text)?.[1] ?? '';
  return { model: model.trim(), cores: [...text.matchAll(/^processor\s*:/gm)].length };
}

function kernelOf(paths: HostPaths): string {
  const release = paths.attribute('/proc/sys/kernel/osrelease');
  return release ?? /^Linux version (\S+)/.exec(paths.readIfThere('/proc/version') ?? '')?.[1] ?? '';
}

/** Firmware's own words; boards without DMI are asked through systeminformation, which knows their device trees. */
async function systemModelOf(paths: HostPaths): Promise<string> {
  const words = ['sys_vendor', 'product_name'].map((name) => paths.attribute(`/sys/class/dmi/id/${name}`) ?? '');
  const told = words.filter((word) => word !== '').join(' ');
  if (told !== '' || paths.root !== '/') return told;
  // Loaded only here: the library is large, and nearly every Proxmox host has DMI.
  const { system } = await import('systeminformation');
  const { manufacturer, model } = await system();
  return [manufacturer, model].filter((word) => word !== '' && word !== '-').join(' ');
}

/** Read once at start and at each full sweep. */
export async function readNodeFacts(paths: HostPaths): Promise<NodeFacts> {
  const { model, cores } = cpu(paths.read('/proc/cpuinfo'));
  return {
    kernel: kernelOf(paths),
    cpuModel: model,
    cpuCores: cores,
    memoryBytes: parseMeminfo(paths.read('/proc/meminfo')).get('MemTotal') ?? 0n,
    architecture: ARCHITECTURES[arch()] ?? arch(),
    systemModel: await systemModelOf(paths),
  };
}

export interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

/** First line of /proc/stat: user nice system idle iowait irq softirq steal. */
export function parseCpuTimes(text: string): CpuTimes {
  const ticks = (/^cpu\s+(.+)$/m.exec(text)?.[1] ?? '')
    .trim()
    .split(/\s+/)
    .slice(0, 8)
    .map((tick) => (/^\d+$/.test(tick) ? Number(tick) : 0));
  const total = ticks.reduce((sum, tick) => sum + tick, 0);
  return { busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total };
}

export interface NodeUsage {
  readonly cpu: CpuTimes;
  readonly memoryUsedBytes: bigint;
  readonly memoryTotalBytes: bigint;
  readonly load1: number;
  readonly uptimeSeconds: bigint;
}

/** The ARC is given back under pressure: what lies above its minimum counts as free (openzfs/zfs module/zfs/arc.c). */
function reclaimableArc(paths: HostPaths): bigint {
  const text = paths.readIfThere('/proc/spl/kstat/zfs/arcstats');
  if (text === undefined) return 0n;
  const value = (name: string): bigint => BigInt(new RegExp(`^${name}\\s+\\d+\\s+(\\d+)$`, 'm').exec(text)?.[1] ?? '0');
  const spare = value('size') - value('c_min');
  return spare > 0n ? spare : 0n;
}

export function readUptimeSeconds(paths: HostPaths): bigint {
  return BigInt(Math.floor(Number((paths.attribute('/proc/uptime') ?? '0').split(' ')[0])));
}

/** Figures for the metrics message. */
export function readNodeUsage(paths: HostPaths): NodeUsage {
  const memory = parseMeminfo(paths.read('/proc/meminfo'));
  const total = memory.get('MemTotal') ?? 0n;
  const free = (memory.get('MemAvailable') ?? memory.get('MemFree') ?? 0n) + reclaimableArc(paths);
  return {
    cpu: parseCpuTimes(paths.read('/proc/stat')),
    memoryUsedBytes: free < total ? total - free : 0n,
    memoryTotalBytes: total,
    load1: Number((paths.attribute('/proc/loadavg') ?? '0').split(' ')[0]),
    uptimeSeconds: readUptimeSeconds(paths),
  };
}
