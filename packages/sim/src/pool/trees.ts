/** The real directories of file systems: which lie inside others, and what files take. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host/host.ts';
import type { PoolState } from './state.ts';

const BLOCK_BYTES = 512;

/** Where file systems are mounted: they may lie inside another one's directory. */
export function mountDirectories(host: Host, state: PoolState): Set<string> {
  return new Set(state.datasets.flatMap(({ mountedAt }) => (mountedAt === undefined ? [] : host.path(mountedAt))));
}

/** What lies below the directory, other file systems left out. */
export function treeBytes(directory: string, without: ReadonlySet<string>): number {
  let bytes = 0;
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    if (without.has(path)) continue;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    bytes += stat.isDirectory() ? treeBytes(path, without) : stat.blocks * BLOCK_BYTES;
  }
  return bytes;
}

/** Empty for what is gone meanwhile or closed to this user. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
