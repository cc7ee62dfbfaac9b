/**
 * The message bus as the inventory sees it, as the place where faults happen: one message per subject, a window against
 * doubles, a creation time. It is the only double between the real agent and the real controller.
 */
import type { BusMessage } from '@pxmgr/controller/bus/consume';

/** What becomes of one message on its way into the stream. */
export type PublishFate = 'arrives' | 'request-lost' | 'answer-lost' | 'doubled' | 'late';
/** What becomes of one message on its way out of the stream. */
export type DeliveryFate = 'arrives' | 'lost' | 'doubled' | 'late' | 'behind-the-next';

const DOUBLES_WINDOW_MS = 120_000;
export const LATE_MS = 700;

interface Later {
  readonly atMs: number;
  readonly run: () => void;
}

export class SimStream {
  readonly #nowMs: () => number;
  #generation = 0;
  #isThere = false;
  #sequence = 0;
  #last = new Map<string, BusMessage>();
  #ids = new Map<string, number>();
  #later: Later[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Creation time; undefined before the controller has made it. */
  get created(): string | undefined {
    return this.#isThere ? `stream ${String(this.#generation)}` : undefined;
  }

  ensure(): void {
    if (this.#isThere) return;
    this.#isThere = true;
    this.#generation += 1;
    this.#sequence = 0;
  }

  /** The server comes back with an empty store. */
  wipe(): void {
    this.#isThere = false;
    this.#last = new Map();
    this.#ids = new Map();
  }

  purge(subject: string): void {
    this.#last.delete(subject);
  }

  /** Messages of objects behind the sequence, in order. */
  after(sequence: number): BusMessage[] {
    return this.#objects().filter((message) => message.sequence > sequence);
  }

  ofNode(nodeUid: string): BusMessage[] {
    return this.#objects().filter((message) => message.subject.startsWith(`px.inv.${nodeUid}.`));
  }

  #objects(): BusMessage[] {
    return [...this.#last.values()]
      .filter((message) => message.subject.startsWith('px.inv.'))
      .sort((a, b) => a.sequence - b.sequence);
  }

  /** Throws as the client does when no acknowledgement came. */
  publish(message: { subject: string; data: Uint8Array; id: string | undefined }, fate: PublishFate): void {
    if (!this.#isThere || fate === 'request-lost') throw new Error('no acknowledgement');
    if (fate === 'late') {
      this.later(LATE_MS, () => {
        if (this.#isThere) this.#store(message);
      });
      throw new Error('no acknowledgement in time');
    }
    this.#store(message);
    if (fate === 'doubled') this.#store(message);
    if (fate === 'answer-lost') throw new Error('the acknowledgement was lost');
  }

  #store({ subject, data, id }: { subject: string; data: Uint8Array; id: string | undefined }): void {
    if (id !== undefined) {
      if ((this.#ids.get(id) ?? Number.NEGATIVE_INFINITY) > this.#nowMs() - DOUBLES_WINDOW_MS) return;
      this.#ids.set(id, this.#nowMs());
    }
    this.#sequence += 1;
    this.#last.delete(subject);
    this.#last.set(subject, { subject, sequence: this.#sequence, data });
  }

  later(ms: number, run: () => void): void {
    this.#later.push({ atMs: this.#nowMs() + ms, run });
  }

  /** What was late and is due now. */
  arrive(): void {
    const due = this.#later.filter(({ atMs }) => atMs <= this.#nowMs());
    this.#later = this.#later.filter((one) => !due.includes(one));
    for (const { run } of due) run();
  }
}

/** Fates of the next messages of one link; after them everything arrives. */
export class Fates<F extends string> {
  #next: F[] = [];

  add(fates: readonly F[]): void {
    this.#next.push(...fates);
  }

  clear(): void {
    this.#next = [];
  }

  take(): F | 'arrives' {
    return this.#next.shift() ?? 'arrives';
  }
}
