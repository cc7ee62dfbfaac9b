import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { isAbsent } from '../host/paths.ts';
import { Index, Manifest } from './oci-types.ts';

/** Name of the one image inside each layout. */
export const LAYOUT_IMAGE = 'image';

/**
 * Blobs of all images of the node, one file per digest, shared between images; and one small OCI layout per image
 * digest that points into them. A layout per digest (not per repository) keeps two pulls of one repository from
 * writing one index.json, and skopeo's half-written blobs, which it keeps beside that file, apart.
 */
export class BlobCache {
  readonly #directory: string;
  /** Pulls under way: their blobs are named by no layout yet. */
  #pulls = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get sharedBlobDir(): string {
    return join(this.#directory, 'blobs');
  }

  get scratchDir(): string {
    return join(this.#directory, 'scratch');
  }

  layoutDir(digest: string): string {
    return join(this.#directory, 'layouts', hexOf(digest));
  }

  async prepare(): Promise<void> {
    for (const folder of [this.sharedBlobDir, this.scratchDir, join(this.#directory, 'layouts')]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
  }

  blobPath(digest: string): string {
    return join(this.sharedBlobDir, 'sha256', hexOf(digest));
  }

  open(digest: string): Readable {
    return createReadStream(this.blobPath(digest), { highWaterMark: 256 * 1024 });
  }

  /** undefined when the blob is not there. */
  async sizeOf(digest: string): Promise<number | undefined> {
    return await sizeIfThere(this.blobPath(digest));
  }

  /** Small blobs only: manifests and configurations. The digest is checked. */
  async readSmall(digest: string, limit: number): Promise<string | undefined> {
    const size = await this.sizeOf(digest);
    if (size === undefined || size > limit) return undefined;
    const text = await readFile(this.blobPath(digest));
    return `sha256:${createHash('sha256').update(text).digest('hex')}` === digest ? text.toString('utf8') : undefined;
  }

  /** The index of a layout; undefined when there is none. */
  async readIndex(digest: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(join(this.layoutDir(digest), 'index.json'), 'utf8')) as unknown;
    } catch (error) {
      if (isAbsent(error) || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** Bytes on disk of the given blobs and of what skopeo is writing for this image now. */
  async measure(digest: string, blobs: readonly string[]): Promise<number> {
    let bytes = 0;
    for (const blob of blobs) bytes += (await this.sizeOf(blob)) ?? 0;
    for (const name of await namesIn(this.layoutDir(digest))) {
      if (name.startsWith('oci-put-blob')) bytes += (await sizeIfThere(join(this.layoutDir(digest), name))) ?? 0;
    }
    return bytes;
  }

  async dropLayout(digest: string): Promise<void> {
    await rm(this.layoutDir(digest), { recursive: true, force: true });
  }

  /** A blob that is not what its name says must go: skopeo trusts whatever lies there. */
  async dropBlob(digest: string): Promise<void> {
    await rm(this.blobPath(digest), { force: true });
  }

  /** While `body` runs no blob is removed. */
  async whilePulling<T>(body: () => Promise<T>): Promise<T> {
    this.#pulls += 1;
    try {
      return await body();
    } finally {
      this.#pulls -= 1;
    }
  }

  /**
   * Brings the cache below the limit: the layouts that were fetched longest ago go first, with the blobs that only
   * they name. Archives in template storages are not touched. Does nothing while a pull is under way.
   */
  async trim(limitBytes: number): Promise<void> {
    if (this.#pulls > 0) return;
    await this.collectGarbage();
    for (const digest of await this.#layoutsByAge()) {
      if ((await this.#totalBytes()) <= limitBytes) return;
      await this.dropLayout(digest);
      await this.collectGarbage();
    }
  }

  async #layoutsByAge(): Promise<string[]> {
    const found: { digest: string; atMs: number }[] = [];
    for (const hex of await namesIn(join(this.#directory, 'layouts'))) {
      const { mtimeMs } = await stat(join(this.#directory, 'layouts', hex));
      found.push({ digest: `sha256:${hex}`, atMs: mtimeMs });
    }
    return found.sort((a, b) => a.atMs - b.atMs).map((layout) => layout.digest);
  }

  async #totalBytes(): Promise<number> {
    let bytes = 0;
    for (const hex of await namesIn(join(this.sharedBlobDir, 'sha256')))
      bytes += (await this.sizeOf(`sha256:${hex}`)) ?? 0;
    return bytes;
  }

  /** Removes blobs that no layout names; called with no pull under way. Gives the number of bytes freed. */
  async collectGarbage(): Promise<number> {
    const used = new Set<string>();
    for (const hex of await namesIn(join(this.#directory, 'layouts'))) {
      const index = Index.safeParse(await this.readIndex(`sha256:${hex}`));
      for (const entry of index.success ? index.data.manifests : []) {
        used.add(entry.digest);
        const text = await this.readSmall(entry.digest, 4 * 1024 * 1024);
        const manifest = text === undefined ? undefined : Manifest.safeParse(JSON.parse(text));
        if (manifest?.success === true)
          for (const blob of [manifest.data.config, ...manifest.data.layers]) used.add(blob.digest);
      }
    }
    let freed = 0;
    for (const hex of await namesIn(join(this.sharedBlobDir, 'sha256'))) {
      if (used.has(`sha256:${hex}`)) continue;
      freed += (await this.sizeOf(`sha256:${hex}`)) ?? 0;
      await this.dropBlob(`sha256:${hex}`);
    }
    return freed;
  }
}

export function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

async function sizeIfThere(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
