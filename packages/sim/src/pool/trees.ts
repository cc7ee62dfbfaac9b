/** What the files of a directory take. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const BLOCK_BYTES = 512;

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
