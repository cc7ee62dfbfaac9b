/**
 * The directory tree of a guest while an archive is unpacked into it: a root directory plus the volumes mounted below
 * it, given as a list instead of real mounts. Paths are walked component by component, so neither a symbolic link nor
 * `..` leads outside; ids are mapped as the guest's id map would. Only this file writes into a guest's tree.
 */
import {
  chmodSync,
  chownSync,
  createWriteStream,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  type Stats,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface GuestTreeOptions {
  readonly root: string;
  readonly mounts: readonly { readonly target: string; readonly source: string }[];
  /** First host id of the map, 0 for a privileged guest. */
  readonly idBase: number;
}

export interface EntryMeta {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly mtime: Date;
}

/** A path that would leave the tree, with the same wording as the tar crate's src/entry.rs. */
export class OutsideError extends Error {}

const MAPPED_IDS = 65_536;
const MAX_LINKS = 40;

/** Components of an archive path; undefined when it holds `..` (such entries are skipped). */
export function pathParts(path: string): string[] | undefined {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts;
}

export class GuestTree {
  readonly #root: string;
  readonly #idBase: number;
  readonly #mayChown = process.getuid?.() === 0;
  /** Real directory by guest path, `/`-joined without a leading slash. */
  readonly #mounts = new Map<string, string>();
  readonly #known = new Map<string, string>();

  constructor(options: GuestTreeOptions) {
    this.#root = options.root;
    this.#idBase = options.idBase;
    for (const mount of options.mounts) {
      const parts = pathParts(mount.target) ?? [];
      this.#directory(parts, true);
      this.#mounts.set(parts.join('/'), mount.source);
      this.#known.clear();
    }
  }

  /** The real path of a guest path whose parent exists inside the tree; undefined when the parent does not. */
  locate(parts: readonly string[]): string | undefined {
    const mounted = this.#mounts.get(parts.join('/'));
    if (mounted !== undefined) return mounted;
    const name = parts.at(-1);
    if (name === undefined) return this.#root;
    const parent = this.#directory(parts.slice(0, -1), false);
    return parent === undefined ? undefined : join(parent, name);
  }

  /** Removes what lies there, directories with all they hold. A mounted volume in the way is busy, as on a host. */
  remove(parts: readonly string[]): void {
    const real = this.locate(parts);
    if (real === undefined || lstatOrNone(real) === undefined) return;
    const path = parts.join('/');
    if ([...this.#mounts.keys()].some((target) => target === path || target.startsWith(`${path}/`))) {
      throw Object.assign(new Error('EBUSY'), { code: 'EBUSY' });
    }
    rmSync(real, { recursive: true, force: true });
    this.#known.clear();
  }

  /** Removes everything below a directory but not the directory. */
  empty(parts: readonly string[]): void {
    const real = this.locate(parts);
    if (real === undefined || lstatOrNone(real)?.isDirectory() !== true) return;
    for (const name of readdirSync(real)) this.remove([...parts, name]);
  }

  async writeFile(parts: readonly string[], meta: EntryMeta, content: AsyncIterable<unknown>): Promise<void> {
    const path = this.#place(parts);
    await pipeline(content, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
    this.#own(path, meta);
    chmodSync(path, meta.mode & 0o7777);
    utimesSync(path, meta.mtime, meta.mtime);
  }

  link(parts: readonly string[], targetParts: readonly string[]): void {
    const target = this.locate(targetParts);
    if (target === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
    linkSync(target, this.#place(parts));
  }

  symlink(parts: readonly string[], target: string, meta: EntryMeta): void {
    const path = this.#place(parts);
    symlinkSync(target, path);
    this.#own(path, meta);
    lutimesSync(path, meta.mtime, meta.mtime);
  }

  /** Makes the directory if it is not there yet; a file in its place is removed. `meta` undefined: root, 0755. */
  directory(parts: readonly string[], meta?: EntryMeta): void {
    const at = this.locate(parts);
    if (at !== undefined && lstatOrNone(at)?.isDirectory() === false) this.remove(parts);
    const real = this.#directory(parts, true);
    if (meta === undefined || real === undefined) return;
    this.#own(real, meta);
    chmodSync(real, meta.mode & 0o7777);
    utimesSync(real, meta.mtime, meta.mtime);
  }

  /** Where a new non-directory goes: parents made, whatever was there removed. */
  #place(parts: readonly string[]): string {
    const name = parts.at(-1);
    const parent = this.#directory(parts.slice(0, -1), true);
    if (name === undefined || parent === undefined) throw new OutsideError('empty path');
    this.remove(parts);
    return join(parent, name);
  }

  #own(path: string, meta: EntryMeta): void {
    if (!this.#mayChown) return;
    lchownSync(path, this.#map(meta.uid), this.#map(meta.gid));
  }

  /** An id beyond the map cannot be given to a file from inside the guest's user namespace. */
  #map(id: number): number {
    if (this.#idBase > 0 && id >= MAPPED_IDS) throw Object.assign(new Error('EINVAL'), { code: 'EINVAL' });
    return id + this.#idBase;
  }

  #directory(parts: readonly string[], make: boolean): string | undefined {
    const key = parts.join('/');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const real = this.#walk(parts, make);
    if (real !== undefined) this.#known.set(key, real);
    return real;
  }

  #walk(parts: readonly string[], make: boolean): string | undefined {
    const queue = [...parts];
    const trail: { name: string; real: string }[] = [];
    let links = 0;
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      if (name === '..') {
        this.#up(trail);
        continue;
      }
      const here = trail.at(-1)?.real ?? this.#root;
      const real = this.#mounts.get([...trail.map((step) => step.name), name].join('/')) ?? join(here, name);
      const stat = lstatOrNone(real);
      if (stat?.isSymbolicLink() === true) {
        links += 1;
        queue.unshift(...this.#linkParts(real, links));
        continue;
      }
      if (stat === undefined && !make) return undefined;
      this.#requireDirectory(real, stat);
      trail.push({ name, real });
    }
    return trail.at(-1)?.real ?? this.#root;
  }

  #up(trail: unknown[]): void {
    if (trail.pop() === undefined) throw this.#outside();
  }

  #outside(): OutsideError {
    return new OutsideError(`trying to unpack outside of destination path: ${this.#root}`);
  }

  #requireDirectory(real: string, stat: Stats | undefined): void {
    if (stat === undefined) this.#makeDirectory(real);
    else if (!stat.isDirectory()) throw Object.assign(new Error('ENOTDIR'), { code: 'ENOTDIR' });
  }

  #makeDirectory(real: string): void {
    mkdirSync(real);
    chmodSync(real, 0o755);
    if (this.#mayChown) chownSync(real, this.#idBase, this.#idBase);
  }

  /** An absolute target is resolved by the kernel on the host's root, so the extractor refuses it as outside. */
  #linkParts(real: string, links: number): string[] {
    const target = readlinkSync(real);
    if (target.startsWith('/')) throw this.#outside();
    if (links > MAX_LINKS) throw Object.assign(new Error('ELOOP'), { code: 'ELOOP' });
    return target.split('/').filter((part) => part !== '' && part !== '.');
  }
}

function lstatOrNone(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
