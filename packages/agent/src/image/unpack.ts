import { createHash, type Hash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';

/** Passes bytes through and hashes them. */
export class HashTap extends Transform {
  readonly #hash: Hash = createHash('sha256');
  bytes = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
    done(null, chunk);
  }

  /** After the end only. */
  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

/** zstd in pure JavaScript, block by block. */
class Unzstd extends Transform {
  readonly #stream = new Decompress((chunk) => {
    if (chunk.length > 0) this.push(Buffer.from(chunk));
  });

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#push(chunk, false, done);
  }

  override _flush(done: TransformCallback): void {
    this.#push(new Uint8Array(0), true, done);
  }

  #push(chunk: Uint8Array, final: boolean, done: TransformCallback): void {
    try {
      this.#stream.push(chunk, final);
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

export function unpacker(packing: 'none' | 'gzip' | 'zstd'): Transform[] {
  if (packing === 'gzip') return [createGunzip()];
  return packing === 'zstd' ? [new Unzstd()] : [];
}
