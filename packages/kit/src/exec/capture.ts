import { PassThrough, type Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { BoundedOutput, LineSplitter } from './output.ts';

/** After the exit, silence of this length means that only a stranger can still hold the pipe. */
const QUIET_MS = 200;
/** A chatty stranger (a daemon that inherited the pipe) is listened to no longer than this. */
const MAX_AFTER_EXIT_MS = 5000;

/** One output stream of a child: bounded copy, lines, and on demand a stream for the caller with back-pressure. */
export class Capture {
  readonly #source: Readable;
  readonly #output: BoundedOutput;
  readonly #splitter: LineSplitter | undefined;
  readonly ended: Promise<void>;
  #tee: PassThrough | undefined;
  #isHeld = false;
  #isFinished = false;
  #lastDataMs = 0;

  constructor(source: Readable, maxBytes: number, onLine: ((line: string) => void) | undefined) {
    this.#source = source;
    this.#output = new BoundedOutput(maxBytes);
    this.#splitter = onLine === undefined ? undefined : new LineSplitter(onLine);
    this.ended = new Promise((resolve) => {
      for (const event of ['end', 'close', 'error']) source.once(event, resolve);
    });
    source.on('error', () => undefined);
    source.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  get truncated(): boolean {
    return this.#output.truncated;
  }

  quietMs(): number {
    return performance.now() - this.#lastDataMs;
  }

  text(): string {
    return this.#output.text();
  }

  /** The caller's stream; it must be taken before the first chunk arrives and then be read. */
  tee(): Readable {
    if (this.#tee === undefined) {
      this.#tee = new PassThrough();
      this.#tee.on('error', () => undefined);
      this.#tee.on('close', () => {
        this.#release();
      });
      if (this.#isFinished) this.#tee.end();
    }
    return this.#tee;
  }

  /** Closes our end of the pipe and delivers the last unfinished line. */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#source.destroy();
    this.#splitter?.end();
    this.#tee?.end();
  }

  #take(chunk: Buffer): void {
    if (this.#isFinished) return;
    this.#lastDataMs = performance.now();
    this.#output.push(chunk);
    this.#splitter?.push(chunk);
    const tee = this.#tee;
    if (tee === undefined || tee.destroyed || tee.write(chunk)) return;
    this.#isHeld = true;
    this.#source.pause();
    tee.once('drain', () => {
      this.#release();
    });
  }

  #release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#lastDataMs = performance.now();
    this.#source.resume();
  }
}

/**
 * Reads on after the exit of the process, but not until end of file: a background child may hold the pipe for as long
 * as it likes. What the process itself wrote is in the pipe already and arrives at once.
 */
export async function readOut(captures: readonly Capture[], isHurried: () => boolean): Promise<void> {
  const exitedAt = performance.now();
  const ended = Promise.all(captures.map((capture) => capture.ended)).then(() => 'ended' as const);
  for (;;) {
    const { promise, cancel } = tick();
    const outcome = await Promise.race([ended, promise]);
    cancel();
    if (outcome === 'ended' || isHurried()) return;
    // After a standstill of our own the timers come before the pipes: what waits in them is no silence.
    await setImmediate();
    if (captures.some((capture) => capture.isHeld)) continue;
    if (captures.every((capture) => capture.quietMs() >= QUIET_MS)) return;
    if (performance.now() - exitedAt > MAX_AFTER_EXIT_MS) return;
  }
}

function tick(): { promise: Promise<void>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, QUIET_MS);
  });
  return {
    promise,
    cancel: () => {
      clearTimeout(timer);
    },
  };
}
