import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import * as z from 'zod';
import { isAbsent } from '../host/paths.ts';

const Origin = z.object({ imageReference: z.string(), imageDigest: z.string() });
const Stored = z.record(z.string(), Origin);

/** Image that a guest was made of; the configuration has no place for it. */
export type RecordedOrigin = Readonly<z.infer<typeof Origin>>;

/** What the agent knows about guests beyond their configuration, by guest uid. */
export class GuestRecords {
  readonly #path: string;
  #origins = new Map<string, RecordedOrigin>();

  constructor(path: string) {
    this.#path = path;
  }

  /** A damaged file is like none: the guests themselves are not touched by it. */
  async load(): Promise<void> {
    try {
      this.#origins = new Map(Object.entries(Stored.parse(JSON.parse(await readFile(this.#path, 'utf8')))));
    } catch (error) {
      if (!isAbsent(error) && !(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
    }
  }

  originOf(guestUid: string): RecordedOrigin | undefined {
    return this.#origins.get(guestUid);
  }

  async put(guestUid: string, origin: RecordedOrigin): Promise<void> {
    this.#origins.set(guestUid, origin);
    await this.#save();
  }

  /** A disk that does not take it stops nobody: what stays in the file is about a guest that is gone, and goes with the next write. */
  async forget(guestUid: string): Promise<void> {
    if (!this.#origins.delete(guestUid)) return;
    try {
      await this.#save();
    } catch (error) {
      if (!isPxmError(error, 'PXM_DISK_FULL') && !isPxmError(error, 'PXM_DISK_FAILED')) throw error;
    }
  }

  async #save(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFileAtomic(this.#path, `${JSON.stringify(Object.fromEntries(this.#origins))}\n`, { mode: 0o600 });
  }
}
