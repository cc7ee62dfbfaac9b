/** Volume ids and the volume names of each storage type (pve-storage src/PVE/Storage.pm and src/PVE/Storage/*Plugin.pm). */
import { basename } from 'node:path';
import { ToolError } from '../call/tool.ts';

export interface VolumeName {
  readonly kind: 'images' | 'vztmpl' | 'iso' | 'snippets' | 'backup' | 'import';
  readonly name: string;
  /** Owner's vmid, where the name has one. */
  readonly vmid?: number;
  readonly isBase: boolean;
  /** Base volume of a linked clone. */
  readonly base?: string;
  readonly format: string;
}

const VOLUME_ID = /^([a-z][a-z0-9\-_.]*[a-z0-9]):(.+)$/i;

/** Anything else is a path. */
export function isVolumeId(text: string): boolean {
  return VOLUME_ID.test(text);
}

export function parseVolumeId(volid: string): { storage: string; volname: string } {
  const parts = VOLUME_ID.exec(volid);
  if (parts?.[1] === undefined || parts[2] === undefined) throw new ToolError(`unable to parse volume ID '${volid}'\n`);
  return { storage: parts[1], volname: parts[2] };
}

const TEMPLATE = /^\.tar(?:\.gz|\.xz|\.zst|\.bz2)?$/i;

export function parseVolumeName(type: string, volname: string): VolumeName {
  if (type === 'zfspool') return parseZfsName(volname) ?? refuse('zfs', volname);
  if (type === 'lvm' || type === 'lvmthin') return parseLvmName(volname) ?? refuse('lvm', volname);
  return parseDirectoryName(volname) ?? refuse('directory', volname);
}

function refuse(type: string, volname: string): never {
  throw new ToolError(`unable to parse ${type} volume name '${volname}'\n`);
}

function parseZfsName(volname: string): VolumeName | undefined {
  const parts = /^(?:((?:base|basevol)-\d+-\S+)\/)?((base|basevol|vm|subvol)-(\d+)-\S+)$/.exec(volname);
  if (parts?.[2] === undefined) return undefined;
  const format = parts[3] === 'subvol' || parts[3] === 'basevol' ? 'subvol' : 'raw';
  return {
    kind: 'images',
    name: parts[2],
    vmid: Number(parts[4]),
    isBase: parts[3]?.startsWith('base') === true,
    format,
    ...(parts[1] === undefined ? {} : { base: parts[1] }),
  };
}

function parseLvmName(volname: string): VolumeName | undefined {
  const parts = /^((vm|base)-(\d+)-\S+)$/.exec(volname);
  return parts?.[1] === undefined
    ? undefined
    : { kind: 'images', name: parts[1], vmid: Number(parts[3]), isBase: parts[2] === 'base', format: 'raw' };
}

function parseDirectoryName(volname: string): VolumeName | undefined {
  const clone = /^(\d+)\/([^/\s]+)\/(\d+)\/([^/\s]+)$/.exec(volname);
  if (clone?.[4] !== undefined) return imageName(clone[4], Number(clone[3]), clone[2]);
  const image = /^(\d+)\/([^/\s]+)$/.exec(volname);
  if (image?.[2] !== undefined) return imageName(image[2], Number(image[1]));
  const content = /^(vztmpl|iso|snippets|import|backup)\/([^/]+)$/.exec(volname);
  if (content?.[2] === undefined) return undefined;
  return contentName(content[1] as VolumeName['kind'], content[2]);
}

function imageName(name: string, vmid: number, base?: string): VolumeName | undefined {
  const format = /\.(raw|qcow2|vmdk|subvol)$/.exec(name)?.[1];
  if (format === undefined) return undefined;
  return {
    kind: 'images',
    name,
    vmid,
    isBase: /^base(?:vol)?-/.test(name),
    format,
    ...(base === undefined ? {} : { base }),
  };
}

function contentName(kind: VolumeName['kind'], name: string): VolumeName | undefined {
  const plain: VolumeName = { kind, name, isBase: false, format: 'raw' };
  if (kind === 'vztmpl') return templateSuffix(name) === undefined ? undefined : plain;
  if (kind === 'iso') return /\.(?:iso|img)$/i.test(name) ? plain : undefined;
  if (kind === 'import') {
    const format = /\.(ova|ovf|qcow2|raw|vmdk)$/.exec(name)?.[1];
    return format === undefined ? undefined : { ...plain, format };
  }
  if (kind !== 'backup') return plain;
  const owner =
    /^vzdump-(?:lxc|qemu|openvz)-(\d+)-.+\.(?:tgz|tar|tar\.gz|tar\.zst|tar\.lzo|vma|vma\.zst|vma\.gz|vma\.lzo|zip)$/.exec(
      name,
    )?.[1];
  return owner === undefined ? undefined : { ...plain, vmid: Number(owner) };
}

/** `.tar`, `.tar.zst`, ...; undefined when the file is no template. */
export function templateSuffix(name: string): string | undefined {
  const suffix = /\.tar(?:\.[^.]+)?$/i.exec(name)?.[0];
  return suffix !== undefined && TEMPLATE.test(suffix) ? suffix : undefined;
}

/** File name that an upload or a registry pull gets: last component, odd characters replaced. */
export function normalFileName(name: string): string {
  return basename(name.replaceAll('\\', '/'))
    .replace(/[^a-zA-Z0-9_.-]/g, '_')
    .replace(/^\.+/, '');
}
