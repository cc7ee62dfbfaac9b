/**
 * host/: facts about this machine, read from files. Everything goes through `HostPaths`, which puts the host root
 * (`/` on a real node, a directory for a stand-in) in front of each path; the room never forks a Perl tool and never
 * changes anything. Reading is synchronous: the dot files of pmxcfs and procfs answer in microseconds
 * (a whole scan of 100 guests is about 5 ms), while the asynchronous form costs a thread switch per file.
 * Storage paths may be dead network mounts, where a synchronous call would stop the whole agent: those go through `look`.
 * Imports: contract and kit only.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { LimitedLooks, liesElsewhere } from './limited-looks.ts';

/** True for the errors that mean "there is nothing there". */
export function isAbsent(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH' || code === 'ENODEV';
}

/** What the kernel says to root on a file system that takes no writes now: below /etc/pve, that there is no quorum. */
export function isDenied(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
}

/** Reads the host's files; every path argument is a path inside the host, e.g. `/etc/pve/.version`. */
export class HostPaths {
  readonly root: string;
  readonly #looks = new LimitedLooks();

  constructor(root = '/') {
    this.root = normalize(root);
  }

  /** The real path of a path inside the host; `..` cannot leave the root. */
  at(path: string): string {
    return join(this.root, normalize(`/${path}`));
  }

  /** Whole text; errors of the file system pass through. */
  read(path: string): string {
    return readFileSync(this.at(path), 'utf8');
  }

  bytes(path: string): Buffer {
    return readFileSync(this.at(path));
  }

  /** undefined when the file is not there; other errors pass through. */
  readIfThere(path: string): string | undefined {
    try {
      return this.read(path);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** First line without blanks at its ends: the form of sysfs attributes; undefined when unreadable. */
  attribute(path: string): string | undefined {
    try {
      return this.read(path).split('\n', 1)[0]?.trim();
    } catch {
      // A sysfs attribute may exist and still refuse to be read (EINVAL, EIO, EPERM): unknown, like an absent one.
      return undefined;
    }
  }

  /** Names in a folder, sorted; empty when the folder is not there. */
  list(path: string): string[] {
    try {
      return readdirSync(this.at(path)).sort();
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  /**
   * Asynchronous reading of what may lie on a dead server, with a limit; `body` gets the real path. `of`: "storage nas".
   * Errors: PXM_STORAGE_SILENT, those of `body`.
   */
  async look<T>(of: string, path: string, body: (real: string) => Promise<T>): Promise<T> {
    return await this.#looks.look(of, { isElsewhere: this.liesElsewhere(path) }, () => body(this.at(path)));
  }

  /** Called when what did not answer a `look` can be asked again. */
  onAnswer(listener: () => void): void {
    this.#looks.onAnswer(listener);
  }

  /**
   * On a file system that may stop to answer: nothing there may be read, or watched, in a synchronous call. Always this
   * machine's own mounts: those are what a call of this process meets.
   */
  liesElsewhere(path: string): boolean {
    return liesElsewhere(readFileSync('/proc/self/mountinfo', 'utf8'), this.at(path));
  }

  exists(path: string): boolean {
    return statSync(this.at(path), { throwIfNoEntry: false }) !== undefined;
  }

  /** Permission bits; 0 when there is nothing. */
  mode(path: string): number {
    return (statSync(this.at(path), { throwIfNoEntry: false })?.mode ?? 0) & 0o7777;
  }

  /** Target of a symbolic link as written; undefined when it is none. */
  link(path: string): string | undefined {
    try {
      return readlinkSync(this.at(path));
    } catch {
      // Absent, or not a link: both mean that there is no target.
      return undefined;
    }
  }
}
