/** `/etc/pve/.rrd`: the figures that pvestatd gathers every 10 s; reading them touches no storage. */
import type { HostPaths } from './paths.ts';

export interface StorageSpace {
  readonly totalBytes: bigint;
  readonly usedBytes: bigint;
}

/** Rows of this node's storages. Key spelling differs by release: pve-storage-9.0/, pve2-storage/. */
export function parseStorageRows(text: string, nodeName: string): Map<string, StorageSpace> {
  const found = new Map<string, StorageSpace>();
  for (const line of text.split('\n')) {
    const match = /^pve[0-9.]*-storage(?:-[0-9.]+)?\/([^/:]+)\/([^:]+):[^:]*:([0-9]+):([0-9]+)/.exec(line);
    if (match === null || match[1] !== nodeName) continue;
    found.set(match[2] ?? '', { totalBytes: BigInt(match[3] ?? '0'), usedBytes: BigInt(match[4] ?? '0') });
  }
  return found;
}

export function readStorageRows(paths: HostPaths, nodeName: string): Map<string, StorageSpace> {
  return parseStorageRows(paths.readIfThere('/etc/pve/.rrd') ?? '', nodeName);
}
