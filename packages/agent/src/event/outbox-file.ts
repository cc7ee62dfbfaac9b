/**
 * The file under the outbox: a log of frames `length, crc32, operation, payload`. A frame that is cut off or damaged
 * ends the log; what stands before it is whole. No fsync: after a power failure the agent starts a new generation and
 * publishes everything anyway, so only who-did-it of the last moments can be lost; a killed process loses nothing.
 */
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { diskError } from '@pxmgr/kit/error/disk-error';
import { isAbsent } from '../host/paths.ts';

export interface Frame {
  readonly op: 'put' | 'done';
  readonly payload: Uint8Array;
}

const MAGIC = Buffer.from('PXOUTBX1');
const HEAD_BYTES = 9;
const OPERATIONS = { put: 1, done: 2 } as const;

export function encodeFrame({ op, payload }: Frame): Buffer {
  const body = Buffer.concat([Buffer.from([OPERATIONS[op]]), payload]);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(body.length, 0);
  head.writeUInt32LE(crc32(body), 4);
  return Buffer.concat([head, body]);
}

/** Whole frames from the start; stops at the first that is not. */
export function decodeFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return frames;
  for (let at = MAGIC.length; at + HEAD_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (length < 1 || body.length < length || crc32(body) !== bytes.readUInt32LE(at + 4)) break;
    if (body[0] !== OPERATIONS.put && body[0] !== OPERATIONS.done) break;
    frames.push({ op: body[0] === OPERATIONS.put ? 'put' : 'done', payload: body.subarray(1) });
    at += 8 + length;
  }
  return frames;
}

export class OutboxFile {
  readonly #path: string;
  #bytes = 0;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  }

  /** Size of the file as far as this object wrote it. */
  get bytes(): number {
    return this.#bytes;
  }

  read(): Frame[] {
    try {
      return decodeFrames(readFileSync(this.#path));
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  /** Whole or not at all: what a full disk took of it is cut off again, or everything after it would be lost. */
  append(frames: readonly Frame[]): void {
    const bytes = Buffer.concat(frames.map(encodeFrame));
    try {
      appendFileSync(this.#path, bytes, { mode: 0o600 });
    } catch (error) {
      truncateSync(this.#path, this.#bytes);
      throw diskError(error, this.#path) ?? error;
    }
    this.#bytes += bytes.length;
  }

  /** Replaces the whole file at once. */
  rewrite(frames: readonly Frame[]): void {
    const bytes = Buffer.concat([MAGIC, ...frames.map(encodeFrame)]);
    const temporary = `${this.#path}.tmp`;
    try {
      writeFileSync(temporary, bytes, { mode: 0o600 });
    } catch (error) {
      // Half of it would only take room.
      rmSync(temporary, { force: true });
      throw diskError(error, this.#path) ?? error;
    }
    renameSync(temporary, this.#path);
    this.#bytes = bytes.length;
  }
}
