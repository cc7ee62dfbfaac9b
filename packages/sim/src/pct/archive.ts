/** A new guest's volumes mounted, and an archive unpacked into them (pve-container src/PVE/LXC.pm mount_all, src/PVE/LXC/Create.pm restore_archive). */
import { existsSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, ToolError } from '../call/tool.ts';
import type { Task } from '../cluster/task.ts';
import { idBase, type MountedVolume, resolveMounts } from '../guest/disks.ts';
import { parseMountPoint } from '../guest/mount-point.ts';
import { detectOs } from '../guest/os-setup.ts';
import type { ExtractOptions } from '../storage/extract.ts';
import { enabledStorage, volumePath } from '../storage/storages.ts';
import { isVolumeId, parseVolumeId } from '../storage/volume-names.ts';
import type { GuestConfig, GuestSection } from '../text/guest-config.ts';
import { atPoint, type Verb } from './context.ts';

export async function mountAll(verb: Verb, task: Task, config: GuestConfig): Promise<MountedVolume[]> {
  const mounts = await resolveMounts(verb.host, config);
  for (const mount of mounts) {
    if (existsSync(mount.source)) continue;
    if (mount.kind === 'device') throw noBlockDevice(verb, task, mount);
    task.log('mounting container failed\n');
    throw new ToolError(
      `directory '${parseMountPoint(mount.key, config.values.get(mount.key) ?? '').volume}' does not exist\n`,
    );
  }
  const [root, ...rest] = mounts;
  for (const mount of rest) await makeMountTarget(root?.source ?? '', mount.target, idBase(config));
  return mounts;
}

function noBlockDevice(verb: Verb, task: Task, mount: { source: string; target: string }): ToolError {
  const device = verb.host.inHost(mount.source);
  const root = `/var/lib/lxc/${verb.vmid}/rootfs`;
  task.log(
    `mount: ${root}${mount.target}: fsconfig() failed: ${device}: Can't lookup blockdev.\n       dmesg(1) may have more information after failed mount system call.\nmounting container failed\n`,
  );
  return new ToolError(`command 'mount ${device} ${root}/${mount.target}' failed: exit code 32\n`);
}

async function makeMountTarget(root: string, target: string, owner: number): Promise<void> {
  const path = join(root, target);
  if (existsSync(path)) return;
  await mkdir(path, { recursive: true, mode: 0o755 });
  if (process.getuid?.() === 0) await chown(path, owner, owner);
}

/** In-host path of the archive, or why it cannot be read (pve-storage src/PVE/Storage.pm abs_filesystem_path). */
export async function archivePath({ host }: Verb, archive: string): Promise<string> {
  const isVolume = isVolumeId(archive);
  if (isVolume) enabledStorage(host, parseVolumeId(archive).storage);
  const path = isVolume ? await volumePath(host, archive) : archive;
  if (path.startsWith('/') && existsSync(host.path(path))) return path;
  throw new ToolError(isVolume ? `volume '${archive}' does not exist\n` : `can't find file '${archive}'\n`);
}

/** A template is looked for twice: what is wrong with it is said when its kind is looked at, and ends the task later. */
export async function templatePath(verb: Verb, task: Task, template: string): Promise<string> {
  try {
    return await archivePath(verb, template);
  } catch (err) {
    task.log(`${errorText(err)}\n`);
    throw err;
  }
}

/** What a new guest is to be. */
export interface Wanted {
  readonly config: GuestConfig;
  /** Root file system and mount points, still to be made; none: a default. */
  readonly disks: Map<string, string>;
  /** Volume id or path of the template or the backup. */
  readonly archive: string;
  /** Default storage. */
  readonly storage: string;
}

/** Where an archive goes. */
export interface Place {
  readonly config: GuestConfig;
  /** As the caller named it. */
  readonly archive: string;
  /** Directory of the guest's root file system. */
  readonly root: string;
  readonly mounts: readonly MountedVolume[];
}

/** Distribution and architecture as the new root file system shows them; returns the distribution. */
export function takeOs(verb: Verb, task: Task, { config, root }: Place): string {
  const given = { ...optional('ostype', config), ...optional('arch', config) };
  const os = detectOs(root, { ...given, mountedAt: `/var/lib/lxc/${verb.vmid}/rootfs` }, task);
  config.values.set('ostype', os.ostype);
  config.values.set('arch', os.arch);
  return os.ostype;
}

function optional(key: 'ostype' | 'arch', config: GuestConfig): { ostype?: string; arch?: string } {
  const value = config.values.get(key);
  return value === undefined ? {} : { [key]: value };
}

export function stopIfTold(task: Task): void {
  if (task.signal.aborted) throw new ToolError('received interrupt\n');
}

interface Unpacking {
  readonly owner: GuestSection;
  readonly mounts: readonly MountedVolume[];
}

export function unpacking(verb: Verb, task: Task, { owner, mounts }: Unpacking): ExtractOptions {
  return {
    host: verb.host,
    vmid: verb.vmid,
    idBase: idBase(owner),
    mounts: mounts.map(({ target, source }) => ({ target, source })),
    log: task.log,
    signal: task.signal,
    onProgress: () => atPoint(verb, 'mid-extract'),
  };
}
