import type { Header } from 'tar-stream';

/** A regular file that a container of the image must have. */
export interface SampledFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly bytes: number;
}

/** Files of all layers together; half of them spread over each layer, half its last ones, which a cut-off extraction lacks. */
const FILES_MAX = 128;
/** What Proxmox writes anew for a guest (proxmox/pve-container src/PVE/LXC/Setup) or mounts over. */
const REWRITTEN = /^(?:dev|etc|lib\/systemd|proc|run|sys|tmp|usr\/lib\/systemd)(?:\/|$)/;
/** Names that mean the same to every program that is asked about them later. */
const PLAIN = /^[A-Za-z0-9_][A-Za-z0-9_.+@-]*(?:\/[A-Za-z0-9_.+@-]+)*$/;
const WHITEOUT = /(?:^|\/)\.wh\.[^/]*$/;
const PATH_MAX = 255;

/**
 * A bounded sample of the files that the stacked layers end up with, taken while they stream by. Small and wrong about
 * nothing: whatever a higher layer touches is left out rather than guessed.
 */
export class ContentSample {
  readonly #perHalf: number;
  readonly #files = new Map<string, number>();

  constructor(layers: number) {
    this.#perHalf = Math.max(2, Math.floor(FILES_MAX / 2 / Math.max(1, layers)));
  }

  newLayer(): LayerSample {
    return new LayerSample(this.#files, this.#perHalf);
  }

  /** Puts a layer on top; `removed` are its whiteouts, `emptied` its opaque folders. */
  add(layer: LayerSample, removed: Iterable<string>, emptied: Iterable<string>): void {
    for (const path of removed) this.#drop(path, true);
    for (const path of emptied) this.#drop(path, false);
    for (const path of layer.hidden) this.#drop(path, true);
    for (const [path, bytes] of layer.files()) this.#files.set(path, bytes);
  }

  /** Those that `resolve` finds under their own names: no link on the way. */
  files(resolve: (path: string) => string | undefined): SampledFile[] {
    return [...this.#files]
      .filter(([path]) => resolve(path) === path)
      .map(([path, bytes]) => ({ path, bytes }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #drop(path: string, itself: boolean): void {
    if (itself) this.#files.delete(path);
    const prefix = path === '' ? '' : `${path}/`;
    for (const other of this.#files.keys()) if (other.startsWith(prefix)) this.#files.delete(other);
  }
}

class LayerSample {
  readonly #below: ReadonlyMap<string, number>;
  readonly #foldersBelow: ReadonlySet<string>;
  readonly #limit: number;
  #spread: [path: string, bytes: number][] = [];
  #last: [path: string, bytes: number][] = [];
  #stride = 1;
  #count = 0;
  /** Sampled paths that are something else now, or below such. */
  readonly hidden = new Set<string>();

  constructor(below: ReadonlyMap<string, number>, limit: number) {
    this.#below = below;
    this.#foldersBelow = new Set([...below.keys()].flatMap(parentsOf));
    this.#limit = limit;
  }

  /** Each entry of the layer, in order; whiteouts are told to `ContentSample.add`. */
  note(path: string, header: Header): void {
    if (WHITEOUT.test(path)) return;
    if (this.#below.has(path)) this.hidden.add(path);
    if (header.type !== 'directory' && this.#foldersBelow.has(path)) this.hidden.add(path);
    this.#forget(path);
    const isFile = header.type === 'file' || header.type === 'contiguous-file';
    if (isFile && path.length <= PATH_MAX && PLAIN.test(path) && !REWRITTEN.test(path)) this.#take([path, header.size]);
  }

  files(): [path: string, bytes: number][] {
    return [...this.#spread, ...this.#last];
  }

  #take(file: [path: string, bytes: number]): void {
    if (this.#count % this.#stride === 0) this.#spread.push(file);
    this.#count += 1;
    if (this.#spread.length > this.#limit) {
      this.#spread = this.#spread.filter((_file, index) => index % 2 === 0);
      this.#stride *= 2;
    }
    this.#last.push(file);
    if (this.#last.length > this.#limit) this.#last.shift();
  }

  /** A path that comes twice in one layer, or a folder that is none any more. */
  #forget(path: string): void {
    const isOther = ([known]: [path: string, bytes: number]): boolean => known !== path;
    if (!this.#spread.every(isOther)) this.#spread = this.#spread.filter(isOther);
    if (!this.#last.every(isOther)) this.#last = this.#last.filter(isOther);
  }
}

/** "a/b/c" is in "a" and "a/b". */
export function parentsOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_part, index) => parts.slice(0, index + 1).join('/'));
}
