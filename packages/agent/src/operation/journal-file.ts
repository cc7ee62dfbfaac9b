import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemCode } from '@pxmgr/kit/error/to-problem';

const fdatasyncAsync = promisify(fdatasync);

/** Lines that are only told, and lines that the work cannot begin or end without. */
export type Weight = 'progress' | 'essential';

/** Enough to undo everything that runs at once, without its output. */
const RESERVE_BYTES = 256 * 1024;

/**
 * Room for the journals of a full disk: a file that is given up when a line does not fit, so that what has begun can be
 * undone and told. Random, because a file system that compresses keeps no room for zeros.
 */
export class Reserve {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'reserve');
  }

  /** Before new work begins. Throws the system error when the room is not there. */
  ensure(): void {
    if (statSync(this.#path, { throwIfNoEntry: false })?.size === RESERVE_BYTES) return;
    const fd = openSync(this.#path, 'w', 0o600);
    try {
      writeWhole(fd, randomBytes(RESERVE_BYTES));
      fsyncSync(fd);
    } catch (error) {
      this.give();
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  give(): void {
    rmSync(this.#path, { force: true });
  }
}

/** A file of whole lines: what does not fit, or was torn by a kill, is cut off again. */
export class JournalFile {
  readonly #reserve: Reserve;
  #fd: number | undefined;
  #size: number;
  #isTight = false;

  constructor(path: string, reserve: Reserve) {
    this.#reserve = reserve;
    this.#fd = openSync(path, 'a+', 0o600);
    this.#size = wholeLines(this.#fd);
    ftruncateSync(this.#fd, this.#size);
  }

  /** False when there is no room. Once the reserve is needed, it is kept for what is essential. */
  append(line: string, weight: Weight): boolean {
    if (this.#fd === undefined) return true;
    if (this.#isTight && weight === 'progress') return false;
    const bytes = Buffer.from(`${line}\n`);
    if (this.#write(this.#fd, bytes)) return true;
    this.#isTight = true;
    if (weight === 'progress') return false;
    this.#reserve.give();
    return this.#write(this.#fd, bytes);
  }

  async sync(): Promise<void> {
    if (this.#fd !== undefined) await fdatasyncAsync(this.#fd);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #write(fd: number, bytes: Buffer): boolean {
    try {
      writeWhole(fd, bytes);
      this.#size += bytes.length;
      return true;
    } catch (error) {
      ftruncateSync(fd, this.#size);
      if (!isFull(error)) throw error;
      return false;
    }
  }
}

export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
}

/** write(2) may take a part only. */
function writeWhole(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Size up to the last line feed. */
function wholeLines(fd: number): number {
  let end = fstatSync(fd).size;
  const chunk = Buffer.alloc(64 * 1024);
  while (end > 0) {
    const length = Math.min(end, chunk.length);
    readSync(fd, chunk, 0, length, end - length);
    const at = chunk.subarray(0, length).lastIndexOf(0x0a);
    if (at !== -1) return end - length + at + 1;
    end -= length;
  }
  return 0;
}
