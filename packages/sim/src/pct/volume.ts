/** resize, mount and unmount (pve-container src/PVE/API2/LXC.pm, src/PVE/CLI/pct.pm). */
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { clusterLog } from '../cluster/pmxcfs.ts';
import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { resolveMounts } from '../guest/disks.ts';
import { type MountPoint, parseMountPoint, printMountPoint } from '../guest/mount-point.ts';
import { findVolume, volumeBackend, volumePath } from '../storage/storages.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { parseSize } from '../text/size.ts';
import { isRunning, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';

interface Resize {
  readonly config: GuestConfig;
  readonly point: MountPoint;
  readonly bytes: number;
}

/** Exits 0 although its task failed; checks before the task still give a status. */
export async function resize(verb: Verb): Promise<number> {
  await checkedResize(verb, verb.io.err);
  await taskOf(verb, 'resize', (task) =>
    lockedInTask(verb, task, async () => {
      const size = (text(verb, 'size') ?? '').replace(/^\+/, '');
      const msg = `update CT ${verb.vmid}: resize --disk ${text(verb, 'disk') ?? ''} --size ${size}`;
      clusterLog(verb.host, { tag: verb.tool, pid: verb.io.worker?.pid ?? process.pid, user: 'root@pam', msg });
      const { config, point, bytes } = await checkedResize(verb, task.log);
      const { storage, volname, parsed } = findVolume(verb.host, point.volume);
      if (parsed.format === 'subvol' && storage.type === 'dir') throw new ToolError("can't resize this image format\n");
      await (await volumeBackend(storage)).resize({ host: verb.host, storage, volname }, bytes, task.log);
      if (parsed.format === 'raw')
        task.log(
          `Image resized.\n${isRunning(verb) ? grownWhileUsed(bytes) : grownText(await volumePath(verb.host, point.volume), bytes)}`,
        );
      config.values.set(point.key, printMountPoint(point.key, { ...point.values, size: String(bytes) }));
      storeConfig(verb.host, verb.vmid, config);
    }),
  );
  return 0;
}

/** A volume that no guest uses is checked first and grown by the programs of e2fsprogs; theirs are the counts. */
function grownText(path: string, bytes: number): string {
  const blocks = Math.floor(bytes / 1024);
  return `e2fsck 1.47.2 (1-Jan-2025)
Pass 1: Checking inodes, blocks, and sizes
Pass 2: Checking directory structure
Pass 3: Checking directory connectivity
Pass 4: Checking reference counts
Pass 5: Checking group summary information
${path}: 11/${Math.floor(blocks / 4)} files (0.0% non-contiguous), ${Math.floor(blocks / 16)}/${blocks} blocks
resize2fs 1.47.2 (1-Jan-2025)
Resizing the filesystem on ${path} to ${blocks} (1k) blocks.
The filesystem on ${path} is now ${blocks} (1k) blocks long.

`;
}

/** The file system of a running guest grows under its loop device. */
function grownWhileUsed(bytes: number): string {
  return `resize2fs 1.47.2 (1-Jan-2025)
Filesystem at /dev/loop0 is mounted on /tmp; on-line resizing required
old_desc_blocks = 1, new_desc_blocks = 1
The filesystem on /dev/loop0 is now ${Math.floor(bytes / 1024)} (1k) blocks long.

`;
}

async function checkedResize(verb: Verb, warn: (line: string) => void): Promise<Resize> {
  const { host, vmid } = verb;
  const config = loadConfig(host, vmid, warn);
  requireUnlocked(config);
  requireDigest(text(verb, 'digest'), config, '');
  const key = text(verb, 'disk') ?? '';
  const point = parseMountPoint(key, config.values.get(key) ?? '');
  const { storage, volname, parsed } = findVolume(host, point.volume);
  if (parsed.vmid !== vmid)
    throw new ToolError(
      `can't resize mount point owned by another container (${parsed.vmid ?? ''}) at /usr/share/perl5/PVE/API2/LXC.pm line 2386.\n`,
    );
  if (!(await (await volumeBackend(storage)).exists({ host, storage, volname })))
    throw new ToolError(`volume '${point.volume}' does not exist\n`, 2);
  const given = text(verb, 'size') ?? '';
  const current = await (await volumeBackend(storage)).sizeBytes({ host, storage, volname });
  const asked = parseSize(given.replace(/^\+/, '')) ?? 0;
  const bytes = given.startsWith('+') ? current + asked : asked;
  if (bytes < current) throw new ToolError('unable to shrink disk size\n');
  if (bytes === current) throw new ToolError('disk is already at specified size\n');
  return { config, point, bytes };
}

export function requireDigest(digest: string | undefined, config: GuestConfig, prefix: string): void {
  if (digest === undefined || digest === '' || digest === config.digest) return;
  throw new ToolError(`${prefix}detected modified configuration - file changed by other user? Try again.\n`);
}

/** The root directory is shown at its upstream place by a link; mount points inside it are not. */
export async function mount(verb: Verb): Promise<number> {
  const { host, vmid, io } = verb;
  await locked(verb, async () => {
    const config = loadConfig(host, vmid, io.err);
    requireUnlocked(config);
    config.values.set('lock', 'mounted');
    storeConfig(host, vmid, config);
    const [root] = await resolveMounts(host, config);
    mkdirSync(host.path(`/var/lib/lxc/${vmid}`), { recursive: true });
    const shown = host.path(`/var/lib/lxc/${vmid}/rootfs`);
    if (root !== undefined && !existsSync(shown)) symlinkSync(root.source, shown);
  });
  io.out(`mounted CT ${vmid} in '/var/lib/lxc/${vmid}/rootfs'\n`);
  return 0;
}

export async function unmount(verb: Verb): Promise<number> {
  const { host, vmid, io } = verb;
  await locked(verb, async () => {
    const config = loadConfig(host, vmid, io.err);
    const lock = config.values.get('lock') ?? '';
    if (lock === '') throw new ToolError("no lock found trying to remove 'mounted'  lock\n");
    if (lock !== 'mounted') throw new ToolError(`found lock '${lock}' trying to remove 'mounted' lock\n`);
    rmSync(host.path(`/var/lib/lxc/${vmid}/rootfs`), { force: true });
    config.values.delete('lock');
    storeConfig(host, vmid, config);
  });
  return 0;
}
