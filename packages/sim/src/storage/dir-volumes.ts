/**
 * Volumes on a directory storage. `subvol` volumes are the directories they are upstream. A `raw` volume is two things:
 * the sparse file upstream has (so that sizes and listings are right) and a directory `<path>/.volumes/<vmid>/<name>`
 * with the files, because no loop device and no root rights are needed to fill a directory and to start a guest from it.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { switchesOf } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import type { Storage } from '../text/storage-cfg.ts';
import { qcow2Size, writeQcow2 } from './qcow2.ts';
import { parseVolumeName, type VolumeName } from './volume-names.ts';
import type { SpaceRow, VolumeAt, VolumeBackend, VolumeRequest, VolumeRow } from './volumes.ts';

const MAX_PER_GUEST = 1024;

export function storageRoot(storage: Storage): string {
  return storage.options['path'] ?? '/var/lib/vz';
}

function imagePath(storage: Storage, volname: string): string {
  const parts = volname.split('/');
  return join(storageRoot(storage), 'images', ...parts.slice(-2));
}

function filesPath(host: Host, storage: Storage, volname: string): string {
  const { format } = parse(volname);
  if (format === 'subvol') return host.path(imagePath(storage, volname));
  return host.path(join(storageRoot(storage), '.volumes', ...volname.split('/').slice(-2)));
}

function parse(volname: string): VolumeName {
  return parseVolumeName('dir', volname);
}

function freeName(host: Host, storage: Storage, request: VolumeRequest): string {
  const folder = host.path(join(storageRoot(storage), 'images', String(request.vmid)));
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const used = new Set(
    names.map((name) => new RegExp(`^(?:vm|base|subvol|basevol)-${request.vmid}-disk-(\\d+)\\b`).exec(name)?.[1]),
  );
  for (let n = 0; n < MAX_PER_GUEST; n++) {
    if (!used.has(String(n)))
      return `${request.format === 'subvol' ? 'subvol' : 'vm'}-${request.vmid}-disk-${n}.${request.format}`;
  }
  throw new ToolError(`unable to allocate an image name for VM ${request.vmid} in storage '${storage.id}'\n`);
}

async function alloc(host: Host, storage: Storage, request: VolumeRequest): Promise<string> {
  activate(host, storage);
  const folder = host.path(join(storageRoot(storage), 'images', String(request.vmid)));
  const isNew = !existsSync(folder);
  mkdirSync(folder, { recursive: true });
  const name = request.name ?? freeName(host, storage, request);
  requireName(name, { format: request.format, status: isNew ? 2 : 25 });
  const volname = `${request.vmid}/${name}`;
  const inHost = imagePath(storage, volname);
  const real = host.path(inHost);
  if (existsSync(real)) throw new ToolError(`disk image '${inHost}' already exists\n`, 25);
  if (request.format === 'subvol') {
    if (request.sizeBytes !== 0) throw new ToolError('storage does not support subvol quotas\n', 2);
    mkdirSync(real, { mode: 0o755 });
  } else {
    writeFileSync(real, '', { mode: 0o640, flag: 'wx' });
    if (request.format === 'qcow2') writeQcow2(real, request.sizeBytes);
    else truncateSync(real, request.sizeBytes);
    mkdirSync(filesPath(host, storage, volname), { recursive: true, mode: 0o755 });
    request.log(`Formatting '${inHost}', fmt=${request.format} ${details(request)}\n`);
  }
  giveTo(filesPath(host, storage, volname), request.ownerId);
  return volname;
}

/** pve-storage src/PVE/Storage/Plugin.pm parse_name_dir and alloc_image. */
function requireName(name: string, { format, status }: { format: string; status: number }): void {
  if (/^snap-.*\.qcow2$/.test(name)) throw new ToolError(`'${name}' is a snapshot filename, not a volume!\n`, status);
  const given = /^[^/\s]+\.(raw|qcow2|vmdk|subvol)$/.exec(name)?.[1];
  if (given === undefined) throw new ToolError(`unable to parse volume filename '${name}'\n`, status);
  if (given !== format)
    throw new ToolError(`illegal name '${name}' - wrong extension for format ('${given} != '${format}')\n`, status);
}

/** The rest of qemu-img's line. */
function details(request: VolumeRequest): string {
  if (request.format === 'vmdk') return `size=${request.sizeBytes} compat6=off hwversion=undefined`;
  if (request.format !== 'qcow2') return `size=${request.sizeBytes} preallocation=off`;
  return `cluster_size=65536 extended_l2=off preallocation=metadata compression_type=zlib size=${request.sizeBytes} lazy_refcounts=off refcount_bits=16`;
}

function giveTo(path: string, owner: number | undefined): void {
  if (owner !== undefined && process.getuid?.() === 0) chownSync(path, owner, owner);
}

async function list(host: Host, storage: Storage): Promise<VolumeRow[]> {
  activate(host, storage);
  const images = host.path(join(storageRoot(storage), 'images'));
  const folders = readdirSync(images)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
  return folders.flatMap((vmid) =>
    readdirSync(join(images, vmid))
      .sort()
      .flatMap((name) => {
        const format = /\.(raw|qcow2|vmdk|subvol)$/.exec(name)?.[1];
        if (format === undefined) return [];
        const sizeBytes = format === 'subvol' ? 0 : virtualSize(join(images, vmid, name), format);
        return [{ volid: `${storage.id}:${vmid}/${name}`, format, sizeBytes, vmid: Number(vmid) }];
      }),
  );
}

async function destroy({ host, storage, volname }: VolumeAt): Promise<void> {
  const inHost = imagePath(storage, volname);
  const real = host.path(inHost);
  if (!existsSync(real)) throw new ToolError(`disk image '${inHost}' does not exist\n`);
  const files = filesPath(host, storage, volname);
  await rm(files, { recursive: true, force: true });
  if (files !== real) unlinkSync(real);
  for (const folder of new Set([dirname(real), dirname(files)])) {
    try {
      rmdirSync(folder);
    } catch {
      // other volumes of the guest are left in it
    }
  }
}

function virtualSize(path: string, format: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  return (format === 'qcow2' && stat !== undefined ? qcow2Size(path) : undefined) ?? stat?.size ?? 0;
}

async function rename({ host, storage, volname }: VolumeAt, targetVmid: number): Promise<string> {
  const { format } = parse(volname);
  const name = freeName(host, storage, {
    vmid: targetVmid,
    format: format as VolumeRequest['format'],
    sizeBytes: 0,
    log: () => undefined,
  });
  const to = `${targetVmid}/${name}`;
  const move = (a: string, b: string): void => {
    mkdirSync(dirname(b), { recursive: true });
    renameSync(a, b);
  };
  const [before, after] = [imagePath(storage, volname), imagePath(storage, to)] as const;
  if (!existsSync(host.path(before)))
    throw new ToolError(`rename '${before}' to '${after}' failed - No such file or directory\n`, 2);
  move(host.path(before), host.path(after));
  if (format !== 'subvol') move(filesPath(host, storage, volname), filesPath(host, storage, to));
  return to;
}

/** A raw file is renamed and made read-only; a directory keeps its name, and only its mode changes. */
async function makeBase({ host, storage, volname }: VolumeAt, log?: (text: string) => void): Promise<string> {
  const inHost = imagePath(storage, volname);
  const real = host.path(inHost);
  if (!existsSync(real)) {
    log?.(`failed to stat '${inHost}'\n`);
    throw new ToolError(`file_size_info on '${volname}' failed\n`, 2);
  }
  chmodSync(real, 0o444);
  if (parse(volname).format === 'subvol') return volname;
  const base = volname.replace(/\/vm-/, '/base-');
  renameSync(real, host.path(imagePath(storage, base)));
  renameSync(filesPath(host, storage, volname), filesPath(host, storage, base));
  return base;
}

/** As upstream's activation: a missing folder is made, unless the storage says it is a mount point. */
function activate(host: Host, storage: Storage): void {
  const path = storageRoot(storage);
  const isMountPoint = storage.options['is_mountpoint'];
  if (isMountPoint !== undefined && !/^(?:0|no|off|false)$/.test(isMountPoint)) {
    const folder = isMountPoint.startsWith('/') ? isMountPoint : path;
    const stat = statSync(host.path(folder), { throwIfNoEntry: false });
    if (stat === undefined || stat.dev === statSync(dirname(host.path(folder))).dev) {
      throw new ToolError(
        `unable to activate storage '${storage.id}' - directory is expected to be a mount point but is not mounted: '${folder}'\n`,
      );
    }
  }
  const stat = statSync(host.path(path), { throwIfNoEntry: false });
  if (stat?.isFile() === true)
    throw new ToolError(`mkdir ${path}: File exists at /usr/share/perl5/PVE/Storage/Plugin.pm line 2662.\n`, 17);
  if (makesItself(storage, 'create-base-path')) mkdirSync(host.path(path), { recursive: true });
  else if (stat === undefined) {
    throw new ToolError(
      `unable to activate storage '${storage.id}' - directory '${path}' does not exist or is unreachable\n`,
      2,
    );
  }
  if (makesItself(storage, 'create-subdirs')) mkdirSync(join(host.path(path), 'images'), { recursive: true });
}

/** `mkdir` is the older name of both. */
function makesItself({ options }: Storage, option: 'create-base-path' | 'create-subdirs'): boolean {
  return !/^(?:0|no|off|false)$/.test(options[option] ?? options['mkdir'] ?? '1');
}

async function space(host: Host, storage: Storage): Promise<SpaceRow> {
  activate(host, storage);
  const stat = statfsSync(host.path(storageRoot(storage)));
  const totalBytes = stat.blocks * stat.bsize;
  const switched = switchesOf(host).freeBytes?.[storage.id];
  if (switched !== undefined) return { totalBytes, availableBytes: switched, usedBytes: totalBytes - switched };
  const usedBytes = Math.max((stat.blocks - stat.bfree) * stat.bsize, 0);
  return { totalBytes, availableBytes: stat.bavail * stat.bsize, usedBytes };
}

/** The file system under the images holds no larger files (ext4 with 4 KiB blocks). */
const MAX_FILE = 16 * 1024 ** 4 - 4096;

async function resize(at: VolumeAt, sizeBytes: number, log?: (text: string) => void): Promise<void> {
  const inHost = imagePath(at.storage, at.volname);
  const real = at.host.path(inHost);
  const { format } = parse(at.volname);
  if (sizeBytes > MAX_FILE) {
    log?.('qemu-img: Could not resize file: File too large\n');
    throw new ToolError(
      `command '/usr/bin/qemu-img resize '--preallocation=off' -f ${format} ${inHost} ${sizeBytes}' failed: exit code 1\n`,
    );
  }
  if (format === 'qcow2') writeQcow2(real, sizeBytes);
  else truncateSync(real, sizeBytes);
}

const noSnapshots = async (): Promise<never> => {
  throw new ToolError('snapshot feature is not available\n');
};

export const dirVolumes: VolumeBackend = {
  activate: async (host, storage) => activate(host, storage),
  alloc,
  list,
  destroy,
  rename,
  space,
  directory: async ({ host, storage, volname }) => filesPath(host, storage, volname),
  inHostPath: ({ storage, volname }) => imagePath(storage, volname),
  exists: async ({ host, storage, volname }) => existsSync(host.path(imagePath(storage, volname))),
  sizeBytes: async ({ host, storage, volname }) =>
    parse(volname).format === 'subvol' ? 0 : virtualSize(host.path(imagePath(storage, volname)), parse(volname).format),
  resize,
  makeBase,
  linkedClone: async ({ storage, volname }) => {
    throw new ToolError(`Linked clone feature for '${storage.id}:${volname}' is not available\n`);
  },
  canSnapshot: () => false,
  snapshot: noSnapshots,
  newerSnapshots: async () => [],
  rollback: noSnapshots,
  deleteSnapshot: noSnapshots,
  containerFormat: (sizeBytes) => (sizeBytes > 0 ? 'raw' : 'subvol'),
};
