/**
 * The hook that gives a guest's GPU nodes their usual names. A device that is passed through by its stable name has only
 * that path inside (`/dev/dri/by-path/pci-...-render`), but programs look for `/dev/dri/renderD*`. LXC runs the hook on
 * the host side of each start, after the nodes were made and before the guest's program (lxc.container.conf,
 * `lxc.hook.autodev`); other hooks are not touched by it.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import type { HostPaths } from '../host/paths.ts';

/** In the configuration of guests: the same on every node, and never moved. */
export const AUTODEV_HOOK = '/usr/lib/pxmgr/autodev';

const BY_PATH = '/dev/dri/by-path/';

/**
 * POSIX sh. Its one input is the folder of the guest's root; names in it are only compared, never evaluated. It adds
 * links in the guest's own /dev, replaces nothing, and a guest starts whatever becomes of it.
 * The number is the kernel's minor number where DRM made the node (major 226, 0xe2): libdrm looks the node up under it.
 */
export const AUTODEV_SCRIPT = `#!/bin/sh
# Written by pxmgr-agent, which replaces it when it differs. LXC runs it at each start of a guest that was given a GPU
# by its stable name: it links /dev/dri/renderD* and /dev/dri/card* inside the guest to /dev/dri/by-path/*.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
IFS=' '

case \${LXC_ROOTFS_MOUNT:-} in
  /*) dri=$LXC_ROOTFS_MOUNT/dev/dri ;;
  *) exit 0 ;;
esac
# A link here would lead out of the guest's own /dev.
for folder in "$LXC_ROOTFS_MOUNT/dev" "$dri" "$dri/by-path"; do
  if [ -L "$folder" ] || [ ! -d "$folder" ]; then exit 0; fi
done

is_taken() {
  [ -e "$1" ] || [ -L "$1" ]
}

for node in "$dri"/by-path/*; do
  if [ -L "$node" ] || [ ! -c "$node" ]; then continue; fi
  name=\${node##*/}
  case $name in
    *-render) kind=renderD number=128 ;;
    *-card) kind=card number=0 ;;
    *) continue ;;
  esac
  device=$(stat -c '%t %T' -- "$node") || continue
  case $device in
    'e2 '*) number=$((0x\${device#e2 })) ;;
    *) while is_taken "$dri/$kind$number"; do number=$((number + 1)); done ;;
  esac
  is_taken "$dri/$kind$number" || ln -s -- "by-path/$name" "$dri/$kind$number"
done
exit 0
`;

/** Only nodes of this folder lose their usual name inside the guest. */
export function needsAutodevHook(entries: readonly { readonly path: string }[]): boolean {
  return entries.some(({ path }) => path.startsWith(BY_PATH));
}

/** Puts the script where guests name it; true when it was not there or another one. Errors of the file system pass. */
export async function installAutodevHook(paths: HostPaths): Promise<boolean> {
  if (isInstalled(paths)) return false;
  const path = paths.at(AUTODEV_HOOK);
  const folder = dirname(path);
  // An unprivileged guest's root has to reach the script, whatever the umask of the agent is.
  if ((await mkdir(folder, { recursive: true })) !== undefined) await chmod(folder, 0o755);
  await writeFileAtomic(path, AUTODEV_SCRIPT, { mode: 0o755 });
  return true;
}

/** A guest whose hook is missing does not start. PXM_HOOK_MISSING. */
export function requireAutodevHook(paths: HostPaths, node: string): void {
  if (!isInstalled(paths)) throw new PxmError('PXM_HOOK_MISSING', { path: AUTODEV_HOOK, node });
}

function isInstalled(paths: HostPaths): boolean {
  return paths.readIfThere(AUTODEV_HOOK) === AUTODEV_SCRIPT && (paths.mode(AUTODEV_HOOK) & 0o111) === 0o111;
}
