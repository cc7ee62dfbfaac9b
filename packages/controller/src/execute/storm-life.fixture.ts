/**
 * For tests: the controllers of a storm, one after the other over one database file. Each lives for a number of commits,
 * orders and waits; then its objects are dropped where they stand, and the next one knows what the file held.
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, createSequentialIds, type FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { SketchedFleet } from '../domain/fleet.fixture.ts';
import { DEFAULT_POLICY } from '../domain/placement.ts';
import type { AgentDoor } from '../plan/agent-door.ts';
import { type Database, openDatabase } from '../store/open.ts';
import { createSeal, SEAL_KEY_BYTES } from '../store/seal.ts';
import { DEFAULT_LIMITS } from './run-context.ts';
import { buildWork, type Work } from './work.ts';

const MINUTE_MS = 60_000;
const PLAN_TTL_MS = 10 * MINUTE_MS;
const TRIES = 3;
const SEAL = createSeal(Buffer.alloc(SEAL_KEY_BYTES, 7));
const NEVER = new Promise<never>(() => undefined);

class Killed extends Error {}

interface Life {
  readonly work: Work;
  readonly file: Database;
  readonly death: Promise<never>;
}

export interface LifeParts {
  readonly path: string;
  readonly fleet: SketchedFleet;
  readonly door: AgentDoor;
  readonly clock: FakeClock;
  /** Commits, orders and waits that each controller lives; the one after the last lives on. */
  readonly lives: readonly number[];
  /** Seconds for which there is none, after each of them. */
  readonly pauses: readonly number[];
  readonly onCommit: () => void;
}

let template: string | undefined;

/** A file with the whole schema: made once, copied for each storm. */
export function freshFile(folder: string): string {
  if (template === undefined) {
    const place = mkdtempSync(join(tmpdir(), 'pxmgr-storm-'));
    process.once('exit', () => {
      rmSync(place, { recursive: true, force: true });
    });
    template = join(place, 'empty.db');
    openDatabase(template).close();
  }
  const path = join(folder, 'controller.db');
  copyFileSync(template, path);
  return path;
}

export class StormLives {
  kills = 0;
  readonly #parts: LifeParts;
  readonly #ids = createSequentialIds();
  #life: Life | undefined;
  #left = Number.POSITIVE_INFINITY;
  #stop: ((error: Killed) => void) | undefined;
  #isOver = false;

  constructor(parts: LifeParts) {
    this.#parts = parts;
  }

  get isAlive(): boolean {
    return this.#life !== undefined;
  }

  close(): void {
    this.#isOver = true;
    this.#life?.file.sql.close();
    this.#life = undefined;
  }

  /** Undefined when the controller was away or died of it: the caller has no answer. */
  async call<T>(use: (work: Work) => T | Promise<T>): Promise<T | undefined> {
    const life = this.#life;
    if (life === undefined) return undefined;
    try {
      return await Promise.race([life.death, use(life.work)]);
    } catch (error) {
      if (this.#life !== life) return undefined;
      throw error;
    }
  }

  /** Asks again when the controller was away; undefined when it never was there long enough. */
  async insist<T>(use: (work: Work) => T | Promise<T>): Promise<T | undefined> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const answer = await this.call(use);
      if (answer !== undefined) return answer;
      while (this.#life === undefined) await this.#parts.clock.sleep(1000);
    }
    return undefined;
  }

  open(): void {
    const file = openDatabase(this.#parts.path);
    // A killed process loses nothing that it wrote; only a power cut would, and there is none here.
    file.sql.pragma('synchronous = OFF');
    this.#left = this.#parts.lives[this.kills] ?? Number.POSITIVE_INFINITY;
    const death = new Promise<never>((_, reject) => {
      this.#stop = reject;
    });
    death.catch(() => undefined);
    const isDead = (): boolean => this.#life?.file !== file;
    const work = buildWork({
      database: this.#killable(file),
      seal: SEAL,
      view: this.#parts.fleet,
      agents: this.#around(isDead),
      clock: this.#mortal(isDead),
      ids: this.#ids,
      logger: silentLogger(),
      policy: DEFAULT_POLICY,
      vmids: { first: 100, last: 140 },
      planTtlMs: PLAN_TTL_MS,
      keepMs: 100 * 365 * 24 * 60 * MINUTE_MS,
      limits: { ...DEFAULT_LIMITS, retryMaxMs: MINUTE_MS },
    });
    this.#life = { work, file, death };
    try {
      work.start();
    } catch (error) {
      if (!isDead()) throw error;
    }
  }

  /** Counts down to the kill; the file is closed under the controller, so nothing more of it is written. */
  #count(): void {
    this.#left -= 1;
    if (this.#left <= 0) this.#kill();
  }

  #kill(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    this.kills += 1;
    this.#parts.fleet.unwatch();
    if (!life.file.sql.inTransaction) life.file.sql.close();
    // What it had answered arrives before the connection is seen to be gone.
    const stop = this.#stop;
    setImmediate(() => stop?.(new Killed('killed')));
    const downMs = this.#parts.pauses[this.kills % this.#parts.pauses.length] ?? 1;
    void this.#parts.clock.sleep(downMs * 1000).then(() => {
      if (!this.#isOver) this.open();
    });
  }

  /** Before each commit and after it. */
  #killable(file: Database): Database {
    const count = (): void => {
      this.#count();
      if (this.#life?.file !== file) throw new Killed('killed');
    };
    const transaction = <T>(work: () => T): T => {
      if (file.sql.inTransaction) return file.transaction(work);
      try {
        const result = file.transaction(() => {
          const inside = work();
          count();
          return inside;
        });
        this.#parts.onCommit();
        count();
        return result;
      } finally {
        if (this.#life?.file !== file && file.sql.open) file.sql.close();
      }
    };
    return { ...file, transaction };
  }

  /** Before each call and after it; a dead caller hears nothing. */
  #around(isDead: () => boolean): AgentDoor {
    const { door } = this.#parts;
    const live = async (): Promise<void> => {
      if (!isDead()) this.#count();
      if (isDead()) await NEVER;
    };
    const around =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        await live();
        try {
          return await call(...args);
        } finally {
          await live();
        }
      };
    return {
      resolveImage: around(door.resolveImage),
      pullImage: around(door.pullImage),
      createContainer: around(door.createContainer),
      cloneContainer: around(door.cloneContainer),
      startContainer: around(door.startContainer),
      shutdownContainer: around(door.shutdownContainer),
      stopContainer: around(door.stopContainer),
      destroyContainer: around(door.destroyContainer),
      changeContainer: around(door.changeContainer),
      getGuest: around(door.getGuest),
      getOperation: around(door.getOperation),
      cancelOperation: around(door.cancelOperation),
      async *watchOperation(...args) {
        try {
          for await (const event of door.watchOperation(...args)) {
            await live();
            yield event;
          }
        } finally {
          await live();
        }
      },
    };
  }

  #mortal(isDead: () => boolean): Clock {
    const { clock } = this.#parts;
    return {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        if (!isDead()) this.#count();
        if (isDead()) await NEVER;
      },
    };
  }
}
