/**
 * Many decisions, one commit: what is asked while the disk is busy shares the next transaction. Each job still stands
 * alone: it sees what the jobs before it wrote, and what it wrote itself is taken back when it fails. Nobody gets an
 * answer before the commit is durable.
 */
import type { Database } from '../store/open.ts';

export interface GroupHooks {
  /** First in the transaction. */
  readonly begin: () => void;
  /** Last in it. */
  readonly flush: () => void;
  /** It did not become durable. */
  readonly lost: () => void;
}

/** Jobs of one transaction; bounds how long everything else has to wait. */
const GROUP_MAX = 128;

interface Waiting {
  readonly run: () => void;
  readonly settle: () => void;
  readonly reject: (error: unknown) => void;
}

export class CommitGroup {
  readonly #database: Database;
  readonly #hooks: GroupHooks;
  #waiting: Waiting[] = [];
  #isScheduled = false;

  constructor(database: Database, hooks: GroupHooks) {
    this.#database = database;
    this.#hooks = hooks;
  }

  /** `job` is synchronous and runs inside a transaction. */
  run<T>(job: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      // What a job throws goes to its caller as it is.
      const fail: (error: unknown) => void = reject;
      let settle = (): void => undefined;
      const run = (): void => {
        try {
          const result = this.#database.part(job);
          settle = () => {
            resolve(result);
          };
        } catch (error) {
          settle = () => {
            fail(error);
          };
        }
      };
      this.#waiting.push({ run, settle: () => settle(), reject });
      this.#schedule();
    });
  }

  /** Runs what waits now. Call before the database closes. */
  drain(): void {
    while (this.#waiting.length > 0) this.#commit();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#commit();
      this.#schedule();
    });
  }

  #commit(): void {
    const jobs = this.#waiting.splice(0, GROUP_MAX);
    if (jobs.length === 0) return;
    try {
      this.#database.transaction(() => {
        this.#hooks.begin();
        for (const job of jobs) job.run();
        this.#hooks.flush();
      });
    } catch (error) {
      this.#hooks.lost();
      for (const job of jobs) job.reject(error);
      return;
    }
    for (const job of jobs) job.settle();
  }
}
