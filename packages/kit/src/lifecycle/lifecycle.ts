/**
 * lifecycle/: how a daemon begins and ends. Parts start in the order they were added and stop in reverse; SIGINT or
 * SIGTERM once is a graceful stop with a deadline, twice is the end at once. It owns the process signals, nothing else
 * may. main calls process.exit with the code that `run` gives; only `crash` does not wait for that.
 */
import type { EventEmitter } from 'node:events';
import { exitCodeOf } from '../error/explain.ts';
import type { Logger } from '../log/logger.ts';
import type { Notifier } from './notify.ts';

/** One part of a daemon. `stop` must be safe to call once after a `start` that resolved. */
export interface Part {
  start?: () => Promise<void> | void;
  stop?: () => Promise<void> | void;
  /** On SIGHUP, in the order of adding; a failure is logged and changes nothing else. */
  reload?: () => Promise<void> | void;
}

export interface LifecycleOptions {
  logger: Logger;
  /** For all stops together, default 30,000. */
  stopDeadlineMs?: number;
  notifier?: Notifier;
  /** Tells a person at the terminal why the start failed; the log has it in any case. */
  report?: (error: unknown) => void;
  /** Source of signals and unhandled failures; default this process. */
  events?: SignalSource;
  /** Ends the process; default process.exit. */
  exit?: (code: number) => never;
}

/** The part of `process` that is used. */
type SignalSource = Pick<EventEmitter, 'on' | 'removeListener'>;

const DEFAULT_STOP_MS = 30_000;

interface NamedPart extends Part {
  readonly name: string;
}

interface StopRequest {
  readonly code: number;
  readonly reason: string;
}

export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #logger: Logger;
  readonly #parts: NamedPart[] = [];
  readonly #events: SignalSource;
  #request: (request: StopRequest) => void = () => undefined;
  #abandon: (code: number) => void = () => undefined;
  #requested: StopRequest | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#events = options.events ?? process;
  }

  add(name: string, part: Part): this {
    this.#parts.push({ name, ...part });
    return this;
  }

  /** Asks for a graceful stop from inside; `code` becomes the exit code. */
  requestStop(reason: string, code = 0): void {
    if (this.#requested !== undefined) return;
    this.#requested = { reason, code };
    this.#request(this.#requested);
  }

  /**
   * The end without a stop, as if killed: what this process would still do, undo or say could not be written down.
   * Whoever starts it again finds what is on the disk.
   */
  crash(error: unknown): never {
    this.#logger.fatal({ err: error }, 'cannot go on, ending at once');
    const exit = this.#options.exit ?? ((code: number): never => process.exit(code));
    return exit(exitCodeOf(error));
  }

  /** Starts all parts, waits for a reason to stop, stops all, and gives the exit code. Never rejects. */
  async run(): Promise<number> {
    const stopAsked = new Promise<StopRequest>((resolve) => {
      this.#request = resolve;
      if (this.#requested !== undefined) resolve(this.#requested);
    });
    const abandoned = new Promise<number>((resolve) => {
      this.#abandon = resolve;
    });
    const unlisten = this.#listen();
    try {
      return await Promise.race([this.#live(stopAsked), abandoned]);
    } finally {
      unlisten();
    }
  }

  async #live(stopAsked: Promise<StopRequest>): Promise<number> {
    const started: NamedPart[] = [];
    let code = 0;
    try {
      for (const part of this.#parts) {
        if (this.#requested !== undefined) break;
        await part.start?.();
        started.push(part);
        this.#logger.debug({ part: part.name }, 'part started');
      }
      if (this.#requested === undefined) {
        this.#logger.info('ready');
        await this.#options.notifier?.ready();
      }
      const request = await stopAsked;
      this.#logger.info({ reason: request.reason }, 'stopping');
      code = request.code;
    } catch (error) {
      this.#logger.fatal({ err: error, part: this.#parts[started.length]?.name }, 'start failed');
      this.#options.report?.(error);
      code = exitCodeOf(error);
      this.#requested ??= { reason: 'start failed', code };
    }
    await this.#options.notifier?.stopping();
    return (await this.#stopAll(started)) ? code : Math.max(code, 1);
  }

  /** False when a part failed to stop or the deadline passed. */
  async #stopAll(started: readonly NamedPart[]): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        this.#logger.error('stop deadline passed');
        resolve(false);
      }, this.#options.stopDeadlineMs ?? DEFAULT_STOP_MS);
    });
    const stopped = (async () => {
      let isClean = true;
      for (const part of [...started].reverse()) isClean = (await this.#stopPart(part)) && isClean;
      return isClean;
    })();
    const isClean = await Promise.race([stopped, deadline]);
    clearTimeout(timer);
    if (isClean) this.#logger.info('stopped');
    return isClean;
  }

  async #stopPart(part: NamedPart): Promise<boolean> {
    try {
      await part.stop?.();
      this.#logger.debug({ part: part.name }, 'part stopped');
      return true;
    } catch (error) {
      this.#logger.error({ err: error, part: part.name }, 'stop failed');
      return false;
    }
  }

  #listen(): () => void {
    const onSignal = (signal: string, number: number): void => {
      if (this.#requested === undefined) this.requestStop(signal);
      else {
        this.#logger.warn({ signal }, 'second signal, ending at once');
        this.#abandon(128 + number);
      }
    };
    const onFailure = (error: unknown): void => {
      this.#logger.fatal({ err: error }, 'unhandled failure');
      this.requestStop('unhandled failure', 1);
    };
    const handlers: readonly (readonly [string, (value: unknown) => void])[] = [
      ['SIGINT', () => onSignal('SIGINT', 2)],
      ['SIGTERM', () => onSignal('SIGTERM', 15)],
      ['SIGHUP', () => void this.#reload()],
      ['unhandledRejection', onFailure],
      ['uncaughtException', onFailure],
    ];
    for (const [event, handler] of handlers) this.#events.on(event, handler);
    return () => {
      for (const [event, handler] of handlers) this.#events.removeListener(event, handler);
    };
  }

  async #reload(): Promise<void> {
    this.#logger.info('reloading');
    for (const part of this.#parts) {
      try {
        await part.reload?.();
      } catch (error) {
        this.#logger.error({ err: error, part: part.name }, 'reload failed');
      }
    }
  }
}
