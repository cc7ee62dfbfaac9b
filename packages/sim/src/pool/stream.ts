/**
 * The stand-in's replication streams: a magic word, then for each snapshot a head of JSON and its files, all in chunks
 * with their length before them. Not the real format, but cut, empty and foreign streams are told apart in the same way.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isRoot } from '../host/machine.ts';

const MAGIC = 'PXZFS1\n';

export interface StreamHead {
  /** Full name of the snapshot that was sent. */
  readonly name: string;
  readonly guid: string;
  /** Of the snapshot that it starts from; none: a full stream. */
  readonly fromGuid?: string;
  readonly type: 'filesystem' | 'volume';
  readonly bytes: number;
  readonly referencedBytes: number;
  readonly creation: number;
  readonly properties: Readonly<Record<string, string>>;
  readonly snapshotProperties: Readonly<Record<string, string>>;
  readonly volsize?: string;
  readonly holds: readonly string[];
  /** Sent again because of a token. */
  readonly isResumed?: boolean;
}

export type Write = (data: Uint8Array) => Promise<void>;

export async function writeStream(
  write: Write,
  parts: readonly { readonly head: StreamHead; readonly directory: string | undefined }[],
): Promise<void> {
  await write(Buffer.from(MAGIC));
  for (const { head, directory } of parts) {
    await writeChunk(write, Buffer.from(JSON.stringify(head)));
    if (directory !== undefined) await packTree(directory, write);
    await writeChunk(write, Buffer.alloc(0));
  }
  await writeChunk(write, Buffer.alloc(0));
}

async function writeChunk(write: Write, data: Uint8Array): Promise<void> {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  await write(Buffer.concat([length, data]));
}

interface Entry {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'link';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly target?: string;
}

const PIECE_BYTES = 65_536;

/** Each entry, and after a file its bytes up to an empty chunk. Devices and sockets are left out. */
async function packTree(root: string, write: Write): Promise<void> {
  for (const path of pathsIn(root, '.')) {
    const full = join(root, path);
    const stat = lstatSync(full);
    const kind = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : undefined;
    if (kind === undefined) continue;
    const { mode, uid, gid } = stat;
    const target = kind === 'link' ? { target: readlinkSync(full) } : {};
    const entry: Entry = { path, kind, mode: mode & 0o7777, uid, gid, mtime: stat.mtimeMs / 1000, ...target };
    await writeChunk(write, Buffer.from(JSON.stringify(entry)));
    if (kind === 'file') await packFile(full, write);
  }
}

function pathsIn(root: string, path: string): string[] {
  if (!existsSync(join(root, path))) return [];
  const below = readdirSync(join(root, path), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? pathsIn(root, join(path, entry.name)) : [join(path, entry.name)],
  );
  return [path, ...below];
}

async function packFile(path: string, write: Write): Promise<void> {
  const file = openSync(path, 'r');
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let got = readSync(file, piece); got > 0; got = readSync(file, piece))
      await writeChunk(write, piece.subarray(0, got));
  } finally {
    closeSync(file);
  }
  await writeChunk(write, Buffer.alloc(0));
}

export class BadStream extends Error {}

/** Reads a stream part by part. Throws BadStream with the reason when it ends too early or is none. */
export class StreamReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest = Buffer.alloc(0);
  bytesRead = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async begin(): Promise<void> {
    const magic = await this.#take(MAGIC.length, 'failed to read from stream');
    if (magic.toString() !== MAGIC) throw new BadStream('invalid stream (bad magic number)');
  }

  /** undefined: no more. */
  async head(): Promise<StreamHead | undefined> {
    const data = await this.#chunk();
    return data.length === 0 ? undefined : (JSON.parse(data.toString()) as StreamHead);
  }

  /** Unpacks the files of the part whose head was read; with no directory they are passed over. */
  async files(root: string | undefined): Promise<void> {
    for (let data = await this.#chunk(); data.length > 0; data = await this.#chunk()) {
      const entry = JSON.parse(data.toString()) as Entry;
      const path = root === undefined ? undefined : join(root, entry.path);
      if (path !== undefined) makeEntry(path, entry);
      if (entry.kind === 'file') await this.#fileBytes(path);
      if (path !== undefined) finishEntry(path, entry);
    }
  }

  async #fileBytes(path: string | undefined): Promise<void> {
    const file = path === undefined ? undefined : openSync(path, 'w');
    try {
      for (let data = await this.#chunk(); data.length > 0; data = await this.#chunk())
        if (file !== undefined) writeSync(file, data);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  async drain(): Promise<void> {
    while ((await this.#source.next()).done !== true);
  }

  async #chunk(): Promise<Buffer> {
    const length = (await this.#take(4, 'incomplete stream')).readUInt32BE();
    return this.#take(length, 'incomplete stream');
  }

  async #take(length: number, otherwise: string): Promise<Buffer> {
    while (this.#rest.length < length) {
      const next = await this.#source.next();
      if (next.done === true) throw new BadStream(otherwise);
      this.bytesRead += next.value.length;
      this.#rest = Buffer.concat([this.#rest, next.value]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

function makeEntry(path: string, entry: Entry): void {
  if (entry.kind === 'directory') mkdirSync(path, { recursive: true });
  if (entry.kind === 'link') symlinkSync(entry.target ?? '', path);
}

function finishEntry(path: string, entry: Entry): void {
  if (isRoot()) lchownSync(path, entry.uid, entry.gid);
  if (entry.kind !== 'link') chmodSync(path, entry.mode);
  lutimesSync(path, entry.mtime, entry.mtime);
}
