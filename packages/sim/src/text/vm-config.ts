/**
 * The text of a VM's config file, parsed and printed as qemu-server src/PVE/QemuServer.pm does it: description lines on
 * top, keys in byte order, then the pending section and one section per snapshot. Values are kept as text.
 */
import { createHash } from 'node:crypto';
import { decodeText, encodeText } from './code.ts';

export interface VmConfig {
  /** SHA-1 of the file's bytes, lower-case hex; none for a config that no file holds yet. */
  readonly digest?: string;
  readonly values: Map<string, string>;
  readonly pending: Map<string, string>;
  readonly snapshots: Map<string, Map<string, string>>;
}

export function parseVmConfig(text: string): VmConfig {
  const digest = createHash('sha1').update(text).digest('hex');
  const config: VmConfig = { digest, values: new Map(), pending: new Map(), snapshots: new Map() };
  let section = config.values;
  let description = '';
  const close = (): void => {
    if (description !== '') section.set('description', description);
    description = '';
  };
  for (const line of text.split('\n')) {
    const header = /^\[([^\]]+)\]\s*$/.exec(line)?.[1];
    if (header !== undefined) {
      close();
      section = sectionOf(config, header);
    } else if (line.startsWith('#')) description += `${decodeText(line.slice(1))}\n`;
    else readPair(line, section);
  }
  close();
  return config;
}

function sectionOf(config: VmConfig, header: string): Map<string, string> {
  if (header.toLowerCase() === 'pending') return config.pending;
  const fresh = new Map<string, string>();
  config.snapshots.set(header, fresh);
  return fresh;
}

function readPair(line: string, section: Map<string, string>): void {
  const [, key, value] = /^([a-z][a-z_-]*\d*):\s*(.+?)\s*$/.exec(line) ?? [];
  if (key !== undefined && value !== undefined) section.set(key, value);
}

export function printVmConfig(config: VmConfig): string {
  let text = printSection(config.values);
  if (config.pending.size > 0) text += `\n[PENDING]\n${printSection(config.pending)}`;
  for (const name of [...config.snapshots.keys()].sort())
    text += `\n[${name}]\n${printSection(config.snapshots.get(name) ?? new Map<string, string>())}`;
  return text;
}

function printSection(section: ReadonlyMap<string, string>): string {
  const description = (section.get('description') ?? '').replace(/\n+$/, '');
  const comment = description === '' ? [] : description.split('\n').map((line) => `#${encodeText(line)}\n`);
  const pairs = [...section.keys()]
    .filter((key) => key !== 'description')
    .sort()
    .map((key) => `${key}: ${section.get(key) ?? ''}\n`);
  return [...comment, ...pairs].join('');
}

/** A disk's value: what it is, and its options in their order. */
export interface VmDisk {
  readonly key: string;
  readonly volume: string;
  readonly options: readonly string[];
}

const DISK = /^(?:scsi|virtio|sata|ide)\d+$|^(?:efidisk|tpmstate)0$/;

export function isDriveKey(key: string): boolean {
  return DISK.test(key);
}

/** Disks that are volumes of a storage; drives without one (`none`, a path, an ISO) are left out. */
export function disksOf(section: ReadonlyMap<string, string>, more: { withUnused?: boolean } = {}): VmDisk[] {
  const found: VmDisk[] = [];
  for (const key of [...section.keys()].sort()) {
    if (!DISK.test(key) && !(more.withUnused === true && /^unused\d+$/.test(key))) continue;
    const [volume = '', ...options] = (section.get(key) ?? '').split(',');
    if (volume.startsWith('/') || !volume.includes(':') || options.includes('media=cdrom')) continue;
    found.push({ key, volume, options });
  }
  return found;
}

export function printDisk({ volume, options }: Pick<VmDisk, 'volume' | 'options'>): string {
  return [volume, ...options].join(',');
}
