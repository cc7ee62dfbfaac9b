import { toMs } from './columns.ts';
import type { Database } from './open.ts';

/** How far a stream was read. A stream that was made anew has another creation time and starts from the beginning. */
export interface Cursor {
  readonly streamCreated: string;
  readonly sequence: number;
}

/** A message that nobody could read. */
export interface ParkedMessage {
  readonly at: Date;
  readonly subject: string;
  readonly sequence: number;
  readonly reason: string;
  readonly payload: Uint8Array;
}

/** Only the latest of these many are kept: a broken agent must not fill the disk. */
const PARKED_MAX = 1000;

/** Positions in streams and the messages that were put aside. */
export class CursorStore {
  readonly #get;
  readonly #put;
  readonly #park;
  readonly #trim;
  readonly #parkedCount;

  constructor(database: Database) {
    const { sql } = database;
    this.#get = sql.prepare<[string], { stream_created: string; sequence: number }>(
      'SELECT stream_created, sequence FROM cursor WHERE name = ?',
    );
    this.#put = sql.prepare(`
      INSERT INTO cursor (name, stream_created, sequence) VALUES (?, ?, ?)
      ON CONFLICT (name) DO UPDATE SET stream_created = excluded.stream_created, sequence = excluded.sequence`);
    this.#park = sql.prepare('INSERT INTO parked (at_ms, subject, sequence, reason, payload) VALUES (?, ?, ?, ?, ?)');
    this.#trim = sql.prepare(`DELETE FROM parked WHERE id <= (SELECT max(id) FROM parked) - ${String(PARKED_MAX)}`);
    this.#parkedCount = sql.prepare('SELECT count(*) FROM parked').pluck();
  }

  get(name: string): Cursor | undefined {
    const row = this.#get.get(name);
    return row === undefined ? undefined : { streamCreated: row.stream_created, sequence: row.sequence };
  }

  put(name: string, cursor: Cursor): void {
    this.#put.run(name, cursor.streamCreated, cursor.sequence);
  }

  park(message: ParkedMessage): void {
    this.#park.run(toMs(message.at), message.subject, message.sequence, message.reason, Buffer.from(message.payload));
    this.#trim.run();
  }

  parkedCount(): number {
    return Number(this.#parkedCount.get());
  }
}
