import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { ContentSample, parentsOf, type SampledFile } from './content-sample.ts';
import { HashTap, unpacker } from './unpack.ts';

/** A path of the image that somebody asked about. */
export interface ImageEntry {
  readonly type: 'file' | 'directory' | 'other';
  /** First megabyte of a regular file. */
  readonly body?: Buffer;
}

const BODY_LIMIT = 1024 * 1024;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const MAX_LINKS = 40;

/**
 * What the stacked layers of an image hold, as far as it matters: all symbolic links, the watched paths, and the
 * largest ids. Layers are read once, in order, streaming; nothing but headers and the watched files stays in memory.
 * Whiteouts and opaque folders are applied as the image format says (opencontainers/image-spec layer.md).
 */
export class LayerTree {
  readonly #watched: ReadonlySet<string>;
  readonly #links = new Map<string, string>();
  readonly #entries = new Map<string, ImageEntry>();
  readonly #sample: ContentSample;
  readonly removed = new Set<string>();
  maxUid = 0;
  maxGid = 0;
  entryCount = 0;
  unpackedBytes = 0;

  /** Paths without a leading slash; `layers` that will be added. */
  constructor(watched: Iterable<string>, layers: number) {
    this.#watched = new Set(watched);
    this.#sample = new ContentSample(layers);
  }

  /** Reads one layer on top of those before. Gives the digests of the packed and of the unpacked bytes. */
  async addLayer(packed: Readable, packing: 'none' | 'gzip' | 'zstd'): Promise<{ digest: string; diffId: string }> {
    const outer = new HashTap();
    const inner = new HashTap();
    const tar = extract();
    const layer = new LayerReader(this.#watched, this.#links);
    const sample = this.#sample.newLayer();
    const reading = (async () => {
      for await (const entry of tar) {
        const body = await layer.read(entry.header, entry as AsyncIterable<Uint8Array>);
        sample.note(cleanPath(entry.header.name), entry.header);
        if (!body) entry.resume();
      }
    })();
    await Promise.all([
      pipeline([packed, outer, ...unpacker(packing), inner, tar as unknown as NodeJS.WritableStream]),
      reading,
    ]);
    this.#apply(layer);
    this.#sample.add(sample, layer.whiteouts, layer.opaque);
    this.unpackedBytes += inner.bytes;
    return { digest: outer.digest(), diffId: inner.digest() };
  }

  /** Follows every link of the path inside the image; undefined for a loop. Gives the path without a leading slash. */
  resolve(path: string): string | undefined {
    let rest = path.split('/').filter((part) => part !== '' && part !== '.');
    const done: string[] = [];
    for (let hops = 0; hops <= MAX_LINKS; ) {
      const part = rest.shift();
      if (part === undefined) return done.join('/');
      if (part === '..') {
        done.pop();
        continue;
      }
      const target = this.#links.get([...done, part].join('/'));
      if (target === undefined) {
        done.push(part);
        continue;
      }
      hops += 1;
      if (target.startsWith('/')) done.length = 0;
      rest = [...target.split('/').filter((word) => word !== '' && word !== '.'), ...rest];
    }
    return undefined;
  }

  /** The entry behind a path, links followed. `unwatched` tells a path that has to be watched to know. */
  find(path: string): { entry?: ImageEntry; unwatched?: string } {
    const real = this.resolve(path);
    if (real === undefined) return {};
    const entry = this.#entries.get(real);
    if (entry !== undefined) return { entry };
    return this.#watched.has(real) ? {} : { unwatched: real };
  }

  /** Some regular files that a container made of the layers has. */
  sampledFiles(): SampledFile[] {
    return this.#sample.files((path) => this.resolve(path));
  }

  #apply(layer: LayerReader): void {
    // One look at what is below, not one for each path: some distributions have a hundred thousand links.
    const gone = new Set([...layer.whiteouts, ...layer.replaced, ...layer.links.keys()]);
    const isHidden = (path: string): boolean =>
      layer.opaque.has('') ||
      gone.has(path) ||
      parentsOf(path).some((folder) => gone.has(folder) || layer.opaque.has(folder));
    for (const map of [this.#links, this.#entries]) for (const path of map.keys()) if (isHidden(path)) map.delete(path);
    for (const path of layer.whiteouts) this.removed.add(path);
    for (const path of layer.directories) this.#links.delete(path);
    for (const [path, target] of layer.links) this.#links.set(path, target);
    for (const [path, entry] of layer.entries) this.#entries.set(path, entry);
    this.maxUid = Math.max(this.maxUid, layer.maxUid);
    this.maxGid = Math.max(this.maxGid, layer.maxGid);
    this.entryCount += layer.entryCount;
  }
}

/** One layer's own content. */
class LayerReader {
  readonly #watched: ReadonlySet<string>;
  readonly #below: ReadonlyMap<string, string>;
  readonly links = new Map<string, string>();
  readonly entries = new Map<string, ImageEntry>();
  /** Folders that were links below. */
  readonly directories = new Set<string>();
  /** Paths that are neither folder nor link here, but were links or watched below. */
  readonly replaced = new Set<string>();
  readonly whiteouts = new Set<string>();
  readonly opaque = new Set<string>();
  maxUid = 0;
  maxGid = 0;
  entryCount = 0;

  constructor(watched: ReadonlySet<string>, below: ReadonlyMap<string, string>) {
    this.#watched = watched;
    this.#below = below;
  }

  /** True when the entry's body was consumed. */
  async read(header: Header, body: AsyncIterable<Uint8Array>): Promise<boolean> {
    const path = cleanPath(header.name);
    this.entryCount += 1;
    this.maxUid = Math.max(this.maxUid, header.uid);
    this.maxGid = Math.max(this.maxGid, header.gid);
    const slash = path.lastIndexOf('/');
    const [folder, name] = [slash === -1 ? '' : path.slice(0, slash), path.slice(slash + 1)];
    if (name === OPAQUE) this.opaque.add(folder);
    else if (name.startsWith(WHITEOUT)) this.whiteouts.add(joinPath(folder, name.slice(WHITEOUT.length)));
    else return await this.#readEntry(path, header, body);
    return false;
  }

  async #readEntry(path: string, header: Header, body: AsyncIterable<Uint8Array>): Promise<boolean> {
    const isWatched = this.#watched.has(path);
    const wasLink = this.#below.has(path);
    if (header.type === 'symlink') {
      this.links.set(path, targetOf(header));
      return false;
    }
    this.links.delete(path);
    if (header.type === 'directory') {
      if (wasLink) this.directories.add(path);
      if (isWatched) this.entries.set(path, { type: 'directory' });
      return false;
    }
    if (isWatched || wasLink) this.replaced.add(path);
    return isWatched && (await this.#readWatched(path, header, body));
  }

  async #readWatched(path: string, header: Header, body: AsyncIterable<Uint8Array>): Promise<boolean> {
    if (header.type === 'file' || header.type === 'contiguous-file') {
      this.entries.set(path, { type: 'file', body: await firstBytes(body) });
      return true;
    }
    const target = header.type === 'link' ? this.entries.get(cleanPath(targetOf(header))) : undefined;
    this.entries.set(path, target ?? { type: header.type === 'link' ? 'file' : 'other' });
    return false;
  }
}

async function firstBytes(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    if (length < BODY_LIMIT) chunks.push(chunk);
    length += chunk.length;
  }
  return Buffer.concat(chunks).subarray(0, BODY_LIMIT);
}

/** The library gives null for a name that is empty, whatever its types say. */
function targetOf({ linkname }: { readonly linkname?: string | null }): string {
  return linkname ?? '';
}

/** "./etc/passwd" and "/etc/passwd/" are "etc/passwd". */
function cleanPath(name: string): string {
  return name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function joinPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
