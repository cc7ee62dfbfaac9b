/** The decompressed bytes of a layer as a stream; never a whole layer in memory. */
import { createHash } from 'node:crypto';
import { type Readable, Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import type { Descriptor, OciImage } from './image.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

const LAYER_TYPES: ReadonlyMap<string, Compression> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
]);

/** undefined for every media type that is no OCI layer (docker's own types, encrypted layers). */
export function layerCompression(mediaType: string): Compression | undefined {
  return LAYER_TYPES.get(mediaType);
}

/** undefined when the archive lacks the blob. An error of any stage ends the returned stream with that error. */
export function openLayer(image: OciImage, layer: Descriptor, compression: Compression): Readable | undefined {
  const blob = image.openBlob(layer.digest);
  return blob === undefined ? undefined : decompressed(blob, compression);
}

export function decompressed(input: Readable, compression: Compression): Readable {
  if (compression === 'none') return input;
  const stage = compression === 'gzip' ? createGunzip() : zstdStage();
  input.once('error', (err) => stage.destroy(err));
  stage.once('close', () => input.destroy());
  return input.pipe(stage);
}

/** fzstd pushes output while it is fed, so each input chunk is handed over in slices that keep the output small. */
function zstdStage(): Transform {
  let ended = false;
  let sawInput = false;
  const stage: Transform = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        sawInput = true;
        for (let at = 0; at < chunk.length; at += 4096) decoder.push(chunk.subarray(at, at + 4096));
        done();
      } catch (err) {
        done(err as Error);
      }
    },
    flush(done) {
      try {
        if (sawInput && !ended) decoder.push(new Uint8Array(0), true);
        done();
      } catch (err) {
        done(err as Error);
      }
    },
  });
  const decoder = new Decompress((data, final) => {
    ended = final === true;
    if (data.length > 0) stage.push(Buffer.from(data));
  });
  return stage;
}

/** Reads the stream to its end; `sha256:...` of its bytes. */
export async function digestOf(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of stream) hash.update(part as Buffer);
  return `sha256:${hash.digest('hex')}`;
}
