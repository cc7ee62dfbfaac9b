/**
 * Many decisions, one commit: what is asked while the disk is busy shares the next transaction. Each job still stands
 * alone: it sees what the jobs before it wrote, and what it wrote itself is taken back when it fails. Nobody gets an
 * answer before the commit is durable.
 */
import { type Database, isRefusedByDisk } from '../store/open.ts';

export interface GroupHooks {
  /** First in the transaction. */
  readonly begin: () => void;
  /** Last in it. */
  readonly flush: () => void;
  /** All of it was taken back, and may be done again. */
  readonly undone: () => void;
  /** It did not become durable. */
  readonly lost: () => void;
}

/** Jobs of one transaction; bounds how long everything else has to wait. */
const GROUP_MAX = 128;

interface Waiting {
  /** Throws what the job throws; done again, only the last result counts. */
  readonly run: () => void;
  readonly fail: (error: unknown) => void;
  /** Tells the caller how it ended. */
  readonly settle: () => void;
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

  /** `job` is synchronous, runs inside a transaction, and runs once more when another one of its group fails. */
  run<T>(job: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      // What a job throws goes to its caller as it is.
      const refuse: (error: unknown) => void = reject;
      let settle = (): void => undefined;
      this.#waiting.push({
        run: () => {
          const result = job();
          settle = () => {
            resolve(result);
          };
        },
        fail: (error) => {
          settle = () => {
            refuse(error);
          };
        },
        settle: () => {
          settle();
        },
      });
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
      if (!this.#runTogether(jobs)) this.#runApart(jobs);
    } catch (error) {
      this.#hooks.lost();
      for (const job of jobs) job.fail(error);
    }
    for (const job of jobs) job.settle();
  }

  /** A savepoint copies every page that its job touches, so there is none. False when a job failed: then nothing is done. */
  #runTogether(jobs: readonly Waiting[]): boolean {
    const jobsOfIt = { areDone: false };
    try {
      this.#transaction(() => {
        for (const job of jobs) job.run();
        jobsOfIt.areDone = true;
      });
      return true;
    } catch (error) {
      if (jobsOfIt.areDone || isRefusedByDisk(this.#database, error)) throw error;
      this.#hooks.undone();
      return false;
    }
  }

  #runApart(jobs: readonly Waiting[]): void {
    this.#transaction(() => {
      for (const job of jobs) {
        try {
          this.#database.part(job.run);
        } catch (error) {
          // SQLite ends the transaction itself when the disk fails.
          if (!this.#database.sql.inTransaction) throw error;
          job.fail(error);
        }
      }
    });
  }

  #transaction(work: () => void): void {
    this.#database.transaction(() => {
      this.#hooks.begin();
      work();
      this.#hooks.flush();
    });
  }
}
