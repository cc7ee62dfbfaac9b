import { jetstreamManager } from '@nats-io/jetstream';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { freeBytes } from '@pxmgr/kit/fs/free-bytes';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { NatsConnection } from 'nats';

export interface StoreHealthParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Folder of the streams, and what starts their server again. */
  readonly folder: string;
  readonly restart: () => void;
}

/** With less the next message may be the last again. */
const ROOM_BYTES = 4 * 1024 * 1024;
const ASK_MS = 3_000;
/** Silence of the streams that is not explained by a disk: longer than any load makes it. */
const SILENCE_MAX_MS = 60_000;
const RESTART_EVERY_MS = 30_000;

/**
 * Whether our nats-server keeps streams. With a full disk (2.9.10, measured) it refuses messages; once it has to replace
 * an older one there, its streams answer nothing any more, with room neither, nor does it end at SIGTERM: it has to be
 * killed and started anew as soon as there is room.
 */
export class StoreHealth {
  readonly #parts: StoreHealthParts;
  #silentSinceMs: number | undefined;
  #wasFull = false;
  #restartedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: StoreHealthParts) {
    this.#parts = parts;
  }

  /** What is wrong, for people; undefined when nothing is. */
  async look(connection: NatsConnection): Promise<PxmError | undefined> {
    try {
      await jetstreamManager(connection, { timeout: ASK_MS });
    } catch {
      // Silent: why, and what to do about it, the disk and the time tell.
      return await this.#judgeSilence();
    }
    this.#silentSinceMs = undefined;
    this.#wasFull = await this.#isFull();
    // It answers, and refuses every message.
    return this.#wasFull ? this.#fullDisk() : undefined;
  }

  async #isFull(): Promise<boolean> {
    return (await freeBytes(this.#parts.folder)) < ROOM_BYTES;
  }

  #fullDisk(): PxmError {
    return new PxmError('PXM_DISK_FULL', { path: this.#parts.folder });
  }

  async #judgeSilence(): Promise<PxmError | undefined> {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#silentSinceMs ??= nowMs;
    if (await this.#isFull()) {
      this.#wasFull = true;
      return this.#fullDisk();
    }
    const isDue = this.#wasFull || nowMs - this.#silentSinceMs > SILENCE_MAX_MS;
    if (isDue && nowMs - this.#restartedMs > RESTART_EVERY_MS) this.#restart(nowMs);
    return undefined;
  }

  #restart(nowMs: number): void {
    const { folder, logger, restart } = this.#parts;
    this.#restartedMs = nowMs;
    logger.warn({ folder }, 'the streams of nats-server do not answer; it is started again');
    restart();
  }
}
