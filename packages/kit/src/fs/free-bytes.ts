import { statfs } from 'node:fs/promises';

/** Free on the file system of the path, without what is kept for root. Errors: those of statfs(2). */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
