import type { ConfigSection } from './config-file.ts';
import { parsePropertyString } from './property-string.ts';

/** What a container mounts, as its configuration says. */
export interface MountEntry {
  /** rootfs, mp0, ... */
  readonly key: string;
  readonly kind: 'volume' | 'bind' | 'device';
  /** Volume id, or a path inside the host. */
  readonly source: string;
  /** Empty unless it is a volume. */
  readonly storage: string;
  /** Path inside the guest. */
  readonly target: string;
}

/** Root file system first, then by number (kinds: proxmox/pve-container src/PVE/LXC/Config.pm classify_mountpoint). */
export function mountEntries(section: ConfigSection): MountEntry[] {
  return [...section.entries]
    .filter(([key]) => /^(?:rootfs|mp\d+)$/.test(key))
    .sort(([a], [b]) => indexOf(a) - indexOf(b))
    .map(([key, value]) => {
      const parts = parsePropertyString(value, 'volume');
      const source = parts.get('volume') ?? '';
      const kind = source.startsWith('/dev/') ? 'device' : source.startsWith('/') ? 'bind' : 'volume';
      const storage = kind === 'volume' ? source.slice(0, Math.max(0, source.indexOf(':'))) : '';
      return { key, kind, source, storage, target: key === 'rootfs' ? '/' : (parts.get('mp') ?? '') };
    });
}

function indexOf(key: string): number {
  return key === 'rootfs' ? -1 : Number(key.slice(2));
}
