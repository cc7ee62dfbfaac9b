import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFull } from '../operation/journal-file.ts';

/** A command that runs in a guest: enough to end it, and to say whose it was. */
export interface ExecRecord {
  readonly marker: string;
  readonly vmid: number;
  readonly program: string;
  readonly actor: string;
}

/**
 * Commands that run in guests now, one small file each. They are no operations: they live and end with the call that
 * asked for them, and there may be thousands a day. But what runs inside outlives a killed agent, and the next one must
 * know which of the marked programs are those and not the daemons that a command has left on purpose. Not synced: no
 * program outlives a power cut.
 */
export class ExecRecords {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Before the command starts. A full disk does not keep anybody from making room inside a guest. */
  begin(record: ExecRecord): void {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileSync(this.#path(record.marker), JSON.stringify(record), { mode: 0o600 });
    } catch (error) {
      this.end(record.marker);
      if (!isFull(error)) throw error;
    }
  }

  /** When nothing of it runs any more. */
  end(marker: string): void {
    rmSync(this.#path(marker), { force: true });
  }

  /** At the start of the agent: what an earlier one did not live to end. */
  left(): ExecRecord[] {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    return readdirSync(this.#directory)
      .filter((name) => /^[0-9a-f]{32}$/.test(name))
      .map((marker) => ({ ...this.#read(marker), marker }));
  }

  /** One that was torn by a kill still has its marker, which is its name. */
  #read(marker: string): Omit<ExecRecord, 'marker'> {
    try {
      const { vmid, program, actor } = JSON.parse(readFileSync(this.#path(marker), 'utf8')) as ExecRecord;
      return { vmid, program, actor };
    } catch {
      // Killed in the middle of writing it.
      return { vmid: 0, program: '', actor: '' };
    }
  }

  #path(marker: string): string {
    return join(this.#directory, marker);
  }
}
