import { mkdir } from 'node:fs/promises';
import type { Operation } from '@pxmgr/contract/common';
import { diskError } from '@pxmgr/kit/error/disk-error';
import type { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import { Journal, journalPath, removeJournal } from './journal.ts';
import { Reserve } from './journal-file.ts';

/** The journals of one agent: new ones and those that are gone on with. */
export class JournalFolder {
  readonly #directory: string;
  readonly #reserve: Reserve;
  readonly #failure: { readonly onFailure?: (error: PxmError) => never };

  /** `onFailure`: see Journal. */
  constructor(directory: string, onFailure?: (error: PxmError) => never) {
    this.#directory = directory;
    this.#reserve = new Reserve(directory);
    this.#failure = onFailure === undefined ? {} : { onFailure };
  }

  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** Goes on with one that holds `effects` effects. */
  open(id: string, effects = 0): Journal {
    return new Journal({ directory: this.#directory, id, reserve: this.#reserve, ...this.#failure }, effects);
  }

  /** PXM_DISK_FAILED; PXM_DISK_FULL also when the journal would fit, but not what it takes to undo the work. */
  async begin(operation: Operation, work: { keys: readonly string[]; params?: unknown }): Promise<Journal> {
    const { id } = operation;
    let journal: Journal | undefined;
    try {
      await this.prepare();
      this.#reserve.ensure();
      journal = this.open(id);
      await journal.begin(operation, work.keys, work.params);
      return journal;
    } catch (error) {
      journal?.close();
      // What stays of it has not begun: the next process ends it as such.
      await removeJournal(this.#directory, id).catch(() => undefined);
      throw diskError(error, journalPath(this.#directory, id)) ?? toPxmError(error);
    }
  }
}
