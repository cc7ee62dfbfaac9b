import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageConfig } from '@pxmgr/contract/agent';
import { ImageDocument } from '@pxmgr/contract/common';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import * as z from 'zod';
import { type HostPaths, isAbsent } from '../host/paths.ts';
import { hexOf } from './blob-cache.ts';
import type { ImageFindings } from './verify.ts';

const Findings = z.object({
  osType: z.string(),
  osProblem: z.string().optional(),
  uid: z.number(),
  gid: z.number(),
  home: z.string(),
  groups: z.record(z.string(), z.number()).optional(),
  volumes: z.array(z.string()),
  hasShell: z.boolean(),
  unpackedBytes: z.number(),
  entryCount: z.number(),
  sample: z.array(z.object({ path: z.string(), bytes: z.number() })).default([]),
});

const Stored = z.object({
  version: z.literal(1),
  document: z.unknown(),
  config: z.unknown(),
  findings: Findings,
  /** Path of the archive inside the host and its size: a file of another size is not the one we wrote. */
  archivePath: z.string(),
  archiveBytes: z.number(),
  manifestDigest: z.string(),
});

/** One pulled image: where its archive is, what its configuration says and what reading it found. */
export interface ImageRecord {
  readonly document: ImageDocument;
  readonly config: ImageConfig;
  readonly findings: ImageFindings;
  readonly archivePath: string;
  readonly archiveBytes: number;
  /** Digest of the OCI manifest inside the archive; differs from the document's digest when it was converted. */
  readonly manifestDigest: string;
}

/** Records of pulled images by the digest of their platform manifest; one small file each. */
export class TemplateStore {
  readonly #directory: string;
  readonly #paths: HostPaths;
  readonly #records = new Map<string, ImageRecord>();
  readonly #listeners = new Set<() => void>();

  constructor(directory: string, paths: HostPaths) {
    this.#directory = directory;
    this.#paths = paths;
  }

  /** Reads the records; damaged ones are dropped, the image is then simply pulled again. */
  async load(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith('.json')) continue;
      const record = await readRecord(join(this.#directory, name));
      if (record === undefined) await rm(join(this.#directory, name), { force: true });
      else this.#records.set(record.document.digest, record);
    }
  }

  /** For the inventory. */
  list(): ImageDocument[] {
    return [...this.#records.values()].map((record) => record.document);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The record when its archive is still there with the size it was written with; undefined otherwise. */
  async find(digest: string): Promise<ImageRecord | undefined> {
    const record = this.#records.get(digest);
    if (record === undefined) return undefined;
    try {
      const storage = `storage ${record.document.volumeId.split(':', 1)[0] ?? ''}`;
      const { size } = await this.#paths.look(storage, record.archivePath, async (real) => await stat(real));
      return size === record.archiveBytes ? record : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async put(record: ImageRecord): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const stored = {
      version: 1,
      document: ImageDocument.toJSON(record.document),
      config: ImageConfig.toJSON(record.config),
      findings: record.findings,
      archivePath: record.archivePath,
      archiveBytes: record.archiveBytes,
      manifestDigest: record.manifestDigest,
    };
    await writeFileAtomic(this.#file(record.document.digest), `${JSON.stringify(stored)}\n`, { mode: 0o600 });
    this.#records.set(record.document.digest, record);
    for (const listener of this.#listeners) listener();
  }

  async remove(digest: string): Promise<void> {
    await rm(this.#file(digest), { force: true });
    if (this.#records.delete(digest)) for (const listener of this.#listeners) listener();
  }

  #file(digest: string): string {
    return join(this.#directory, `${hexOf(digest)}.json`);
  }
}

async function readRecord(path: string): Promise<ImageRecord | undefined> {
  const text = await readFile(path, 'utf8');
  try {
    const stored = Stored.parse(JSON.parse(text));
    const { findings, ...rest } = stored;
    return {
      ...rest,
      findings: { ...findings, groups: findings.groups, osProblem: findings.osProblem },
      document: ImageDocument.fromJSON(stored.document),
      config: ImageConfig.fromJSON(stored.config),
    };
  } catch {
    // Written by another version or cut: the caller drops it.
    return undefined;
  }
}
