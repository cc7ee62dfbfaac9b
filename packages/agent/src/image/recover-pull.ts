import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryName } from './archive.ts';
import type { PullParts } from './pull.ts';
import type { ImageRecord } from './template-store.ts';

/** What a pull that did not come to its end has in its journal. */
interface BrokenPull {
  readonly operationId: string;
  readonly effects: readonly { readonly name: string; readonly data: Readonly<Record<string, string>> }[];
}

/**
 * The record of the image when the pull had reached its goal. Otherwise what it had made is removed: layout and archive;
 * whole blobs stay, the next pull of the image needs less. Repeatable.
 */
export async function recoverPull(
  parts: PullParts,
  { operationId, effects }: BrokenPull,
): Promise<ImageRecord | undefined> {
  const dataOf = (name: string) => effects.find((effect) => effect.name === name)?.data;
  const digest = dataOf('image.fetch')?.['digest'];
  const archive = dataOf('image.archive');
  if (archive !== undefined) {
    const { directory = '', name = '' } = archive;
    const record = digest === undefined ? undefined : await parts.store.find(digest);
    if (record?.archivePath === `${directory}/${name}`) return record;
    const folder = parts.paths.at(directory);
    for (const file of [name, temporaryName(name, operationId)]) await rm(join(folder, file), { force: true });
  }
  if (digest !== undefined) await parts.cache.dropLayout(digest);
  return undefined;
}
