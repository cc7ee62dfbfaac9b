/**
 * Applies one tar stream to a guest's tree. For OCI layers the whiteouts of the layer are carried out first, then its
 * entries; directories get their mode and owner last, so a restrictive parent does not stop its children
 * (proxmox-rs proxmox-oci/src/lib.rs apply_whiteouts, extract_archive).
 */
import type { Readable } from 'node:stream';
import { type Header, type Extract as TarParser, extract as tarExtract } from 'tar-stream';
import { type EntryMeta, type GuestTree, pathParts } from './guest-tree.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

type Entry = TarParser extends AsyncIterable<infer T> ? T : never;

/** Entries in their order. The consumer must read or resume each one; errors of the source end the iteration. */
export async function* tarEntries(source: Readable): AsyncGenerator<Entry> {
  const parser = tarExtract();
  source.once('error', (err) => parser.destroy(err));
  // tar-stream's streams are not typed as Node's, though they can be piped into.
  source.pipe(parser);
  try {
    yield* parser;
  } finally {
    source.destroy();
  }
}

export async function applyWhiteouts(tree: GuestTree, layer: Readable): Promise<void> {
  for await (const entry of tarEntries(layer)) {
    if (isFile(entry.header)) whiteOut(tree, entry.header.name);
    entry.resume();
  }
}

function whiteOut(tree: GuestTree, path: string): void {
  const parts = pathParts(path);
  const name = parts?.at(-1);
  if (parts === undefined || name?.startsWith(WHITEOUT) !== true) return;
  const parent = parts.slice(0, -1);
  if (name === OPAQUE) {
    tree.empty(parent);
    return;
  }
  const hidden = name.slice(WHITEOUT.length);
  if (hidden === '..' || hidden === '') return;
  if (hidden !== '.') {
    tree.remove([...parent, hidden]);
    return;
  }
  // The root itself can never be whited out.
  if (parent.length > 0) tree.remove(parent);
}

export interface UnpackOptions {
  /** Entries this returns false for are skipped. */
  readonly accepts: (header: Header) => boolean;
  /** Called with the tar bytes handled so far, after each entry. */
  readonly progress: (bytes: number) => Promise<void>;
  /** Wraps a failure of one entry into the caller's error. */
  readonly failure: (path: string, err: unknown) => Error;
}

/** Number of content bytes written. */
export async function unpack(tree: GuestTree, source: Readable, options: UnpackOptions): Promise<number> {
  const directories: { parts: string[]; meta: EntryMeta }[] = [];
  let bytes = 0;
  for await (const entry of tarEntries(source)) {
    const { header } = entry;
    const parts = pathParts(header.name);
    if (parts === undefined || !options.accepts(header)) {
      entry.resume();
      continue;
    }
    try {
      await place(tree, parts, { entry, directories });
    } catch (err) {
      throw options.failure(parts.join('/'), err);
    }
    entry.resume();
    bytes += header.size;
    await options.progress(bytes);
  }
  for (const { parts, meta } of directories.reverse()) {
    try {
      tree.directory(parts, meta);
    } catch (err) {
      throw options.failure(parts.join('/'), err);
    }
  }
  return bytes;
}

/** Skips the markers that applyWhiteouts has carried out, and the root directory itself, which keeps its owner and mode. */
export function isLayerContent(header: Header): boolean {
  if (pathParts(header.name)?.length === 0) return false;
  return !isFile(header) || header.name.split('/').at(-1)?.startsWith(WHITEOUT) !== true;
}

interface Placing {
  readonly entry: Entry;
  readonly directories: { parts: string[]; meta: EntryMeta }[];
}

async function place(tree: GuestTree, parts: string[], { entry, directories }: Placing): Promise<void> {
  const { header } = entry;
  const meta = metaOf(header);
  switch (header.type) {
    case 'directory':
      if (parts.length > 0) tree.directory(parts);
      directories.push({ parts, meta });
      return;
    case 'symlink': {
      tree.symlink(parts, header.linkname, meta);
      return;
    }
    case 'link': {
      tree.link(parts, pathParts(header.linkname) ?? []);
      return;
    }
    default:
      // Devices and fifos become empty files, as the tar crate writes every kind it cannot make (its src/entry.rs).
      return tree.writeFile(parts, meta, entry);
  }
}

function isFile(header: Header): boolean {
  return header.type === 'file' || header.type === 'contiguous-file';
}

function metaOf(header: Header): EntryMeta {
  return { uid: header.uid, gid: header.gid, mode: header.mode, mtime: header.mtime };
}
