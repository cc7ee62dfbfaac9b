/**
 * Unpacks a template archive into a guest's root file system: plain root tars of every compression the template store
 * knows, and OCI archives. Detection, choice of the manifest, texts and order of output follow pve-container
 * src/PVE/LXC/Create.pm and proxmox-rs proxmox-oci/src/lib.rs. Layers are streamed; the archive is read twice.
 * Not done: extended attributes, which this platform's file calls cannot set.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Header } from 'tar-stream';
import { TarKilledError } from '../call/fault.ts';
import { ToolError } from '../call/tool.ts';
import { commandOf, machineRunner } from '../host/machine.ts';
import { applyWhiteouts, isLayerContent, unpack } from '../oci/apply-layer.ts';
import { GuestTree, OutsideError, pathParts } from '../oci/guest-tree.ts';
import { type Descriptor, type OciImage, openImage, type RawImageConfig } from '../oci/image.ts';
import { ImageError, ioText } from '../oci/image-error.ts';
import { decompressed, digestOf, layerCompression, openLayer } from '../oci/layer-stream.ts';
import type { Extract, Extracted, ExtractOptions, OciSettings } from './extract.ts';

const INTERRUPTED = 'received interrupt';

export type ListingOptions = Pick<ExtractOptions, 'host' | 'log' | 'signal'>;

/** Upstream's rule: the name ends in `.tar` and the listing has these members by exactly these names. */
export async function isOciArchive(archive: string, options: ListingOptions): Promise<boolean> {
  if (!archive.endsWith('.tar')) return false;
  const found = new Set<string>();
  const command = {
    ...commandOf({ file: 'tar', args: ['-tf', archive], purpose: 'list a template', timeoutMs: 600_000 }),
    maxOutputBytes: 4096,
  };
  const result = await machineRunner().run(command, {
    signal: options.signal,
    onLine: (stream, line) => {
      if (stream === 'err') {
        options.log(`${line}\n`);
        return;
      }
      if (line === 'oci-layout' || line === 'index.json') found.add(line);
      else if (line.startsWith('blobs/')) found.add('blobs');
    },
  });
  const failed = (reason: string): ToolError =>
    new ToolError(`command 'tar -tf ${quoted(options.host.inHost(archive))}' failed: ${reason}`);
  if (options.signal.aborted) throw failed(INTERRUPTED);
  if (result.exitCode !== 0) throw failed(`exit code ${result.exitCode ?? 255}`);
  return found.size === 3;
}

export const extract: Extract = async (archive, target, options) => {
  if (await isOciArchive(archive, options)) {
    options.log('Detected OCI archive\n');
    return extractOci(archive, target, options);
  }
  return extractPlain(archive, target, options);
};

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}

async function extractOci(archive: string, root: string, options: ExtractOptions): Promise<Extracted> {
  // Upstream enters a user namespace whose id map is empty for a privileged guest.
  if (options.idBase === 0) throw new ToolError('setgid(0): Invalid argument\n');
  const image = await openImage(archive);
  try {
    const bytes = await unpackLayers(image, root, options);
    return { detected: 'oci', oci: settingsOf(image), bytes, warnings: [] };
  } catch (err) {
    if (err instanceof ImageError || err instanceof ToolError) throw err;
    throw ImageError.extract(`IO error: ${ioText(err)}`);
  }
}

async function unpackLayers(image: OciImage, root: string, options: ExtractOptions): Promise<number> {
  const byDiffId = await layersByDiffId(image);
  const tree = new GuestTree({ root, mounts: options.mounts, idBase: options.idBase });
  let total = 0;
  for (const diffId of image.diffIds) {
    const layer = byDiffId.get(diffId);
    if (layer === undefined) throw ImageError.extract(`Unknown layer digest ${diffId} found in rootfs.diff_ids`);
    await applyWhiteouts(tree, layer.open());
    const before = total;
    total += await unpack(tree, layer.open(), {
      accepts: isLayerContent,
      progress: (bytes) => progress(options, before + bytes),
      failure: (path, err) => entryFailure(`${options.host.inHost(root)}/${path}`, err),
    });
  }
  return total;
}

/** Layers under the digest of their decompressed bytes; the digest of an uncompressed layer is taken on trust. */
async function layersByDiffId(image: OciImage): Promise<Map<string, { open: () => Readable }>> {
  const found = new Map<string, { open: () => Readable }>();
  for (const layer of image.layers) {
    const compression = layerCompression(layer.mediaType);
    if (compression === undefined) continue;
    const open = (): Readable => openLayer(image, layer, compression) ?? missing(layer);
    found.set(compression === 'none' ? layer.digest : await digestOf(open()), { open });
  }
  return found;
}

function missing(layer: Descriptor): never {
  throw ImageError.extract(`Layer file ${layer.digest} mentioned in image manifest is missing`);
}

function entryFailure(path: string, err: unknown): Error {
  if (err instanceof ToolError) return err;
  if (err instanceof OutsideError) return ImageError.extract(`IO error: ${err.message}`);
  return ImageError.extract(`IO error: failed to unpack \`${path}\`: ${ioText(err)}`);
}

async function progress(options: ExtractOptions, bytes: number): Promise<void> {
  const stopIfTold = (): void => {
    if (options.signal.aborted) throw new ToolError(INTERRUPTED);
  };
  stopIfTold();
  await options.onProgress?.(bytes);
  stopIfTold();
}

function settingsOf(image: OciImage): OciSettings {
  const { config } = image;
  const volumes = config['Volumes'];
  return {
    ...optional('architecture', image.architecture),
    ...optional('entrypoint', texts(config, 'Entrypoint')),
    ...optional('cmd', texts(config, 'Cmd')),
    ...optional('env', texts(config, 'Env')),
    ...optional('user', text(config, 'User')),
    ...optional('workingDir', text(config, 'WorkingDir')),
    ...optional('stopSignal', text(config, 'StopSignal')),
    ...optional('volumes', typeof volumes === 'object' && volumes !== null ? Object.keys(volumes) : undefined),
  };
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

function text(config: RawImageConfig, key: string): string | undefined {
  const value = config[key];
  return typeof value === 'string' ? value : undefined;
}

function texts(config: RawImageConfig, key: string): string[] | undefined {
  const value = config[key];
  return Array.isArray(value) ? value.map(String) : undefined;
}

/** Program that decompresses to stdout, for what this platform cannot read itself. */
const DECOMPRESSORS: Readonly<Record<string, readonly string[]>> = {
  '.xz': ['xz', '-dc'],
  '.bz2': ['bzip2', '-dc'],
  '.lzo': ['lzop', '-dc'],
};

/** A root archive that is known to be no image: a backup is never looked through for one. */
export async function extractPlain(archive: string, root: string, options: ExtractOptions): Promise<Extracted> {
  const shown = options.host.inHost(archive);
  const match = /\.tar(\.[^.]+)?$/.exec(archive);
  if (match === null) throw new ToolError(`file does not look like a template archive: ${shown}`);
  const source = openPlain(archive, match[1]);
  options.log(`extracting archive '${shown}'\n`);
  const tree = new GuestTree({ root, mounts: options.mounts, idBase: options.idBase });
  const began = Date.now();
  const failed = (reason: string): ToolError =>
    new ToolError(`command '${tarCommand(options, match[1])}' failed: ${reason}`);
  try {
    const bytes = await unpack(tree, source, {
      accepts: isOutsideDev,
      progress: (done) => progress(options, done),
      failure: (path, err) =>
        err instanceof ToolError
          ? err
          : new Error(`tar: ${path}: ${err instanceof OutsideError ? err.message : ioText(err)}`),
    });
    options.log(
      `Total bytes read: ${bytes} (${iec(bytes)}B, ${iec((bytes / Math.max(1, Date.now() - began)) * 1000)}B/s)\n`,
    );
    return { detected: 'tar', bytes, warnings: [] };
  } catch (err) {
    // Upstream looks at the status of a program that ended, not at the signal that ended it.
    if (err instanceof TarKilledError) return { detected: 'tar', bytes: 0, warnings: [] };
    if (err instanceof ToolError) throw err.message === INTERRUPTED ? failed(INTERRUPTED) : err;
    options.log(tarFailure(err as Error, match[1]));
    throw failed('exit code 2');
  }
}

const DECOMPRESS_OPTIONS: Readonly<Record<string, string>> = {
  '.gz': '-z ',
  '.xz': '-J ',
  '.bz2': '-j ',
  '.lzo': '--lzop ',
  '.zst': '--zstd ',
};

/** Upstream's words (pve-container src/PVE/LXC/Create.pm restore_tar_archive). */
function tarCommand(options: ExtractOptions, suffix = ''): string {
  const map =
    options.idBase === 0 ? '' : `lxc-usernsexec -m u:0:${options.idBase}:65536 -m g:0:${options.idBase}:65536 -- `;
  return `${map}tar xpf - ${DECOMPRESS_OPTIONS[suffix] ?? ''}--totals --one-file-system -p --sparse --numeric-owner --acls --xattrs '--xattrs-include=user.*' '--xattrs-include=security.capability' '--warning=no-file-ignored' '--warning=no-xattr-write' -C /var/lib/lxc/${options.vmid}/rootfs --skip-old-files --anchored --exclude './dev/*'`;
}

/** What tar and the program that unpacks for it say. */
function tarFailure(err: Error, suffix = ''): string {
  const isPacked = suffix === '.gz' && (err as NodeJS.ErrnoException).code?.startsWith('Z_') === true;
  if (!isPacked) return `${err.message}\ntar: Exiting with failure status due to previous errors\n`;
  const reason = /unexpected end/.test(err.message) ? 'unexpected end of file' : 'not in gzip format';
  return `\ngzip: stdin: ${reason}\ntar: Child returned status 1\ntar: Error is not recoverable: exiting now\n`;
}

function openPlain(archive: string, suffix: string | undefined): Readable {
  const file = createReadStream(archive);
  if (suffix === undefined) return file;
  if (suffix === '.gz') return decompressed(file, 'gzip');
  if (suffix === '.zst') return decompressed(file, 'zstd');
  file.destroy();
  const [program, ...args] = DECOMPRESSORS[suffix] ?? [];
  if (program === undefined) throw new ToolError(`unrecognized compression format: ${suffix}`);
  const running = machineRunner().start(
    commandOf({ file: program, args: [...args, archive], purpose: 'decompress a template', timeoutMs: 3_600_000 }),
  );
  running.done.then(
    (result) =>
      result.exitCode === 0
        ? undefined
        : running.stdout.destroy(new Error(`${program}: exit code ${result.exitCode ?? 255}`)),
    (err: unknown) => running.stdout.destroy(err as Error),
  );
  return running.stdout;
}

function isOutsideDev(header: Header): boolean {
  const parts = pathParts(header.name) ?? [];
  return parts[0] !== 'dev' || parts.length === 1;
}

function iec(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)}${units[unit] ?? ''}`;
}
