import { PxmError } from '@pxmgr/kit/error/pxm-error';

/** A server that answers at all answers within this time. */
const LIMIT_MS = 5_000;
/** Of the four threads that Node.js has for files; each look that hangs keeps one until the server is back, or dead for the kernel too. */
const THREADS_TO_LOSE = 2;

/** File systems that lie elsewhere, or whose answers a program gives (the kernel's names for them, proc_pid_mountinfo(5)). */
const REMOTE = /^(?:nfs4?|cifs|smb3|ceph|glusterfs|lustre|beegfs|ocfs2|gfs2|afs|9p|autofs|fuse(?:\..+)?)$/;

/**
 * Looks at files that may lie on a dead server: each has a limit, and what did not answer is not asked again while the
 * kernel still waits for it. Many exports of one dead server cost no more threads than a few.
 */
export class LimitedLooks {
  /** What did not answer -> how many looks at it the kernel still holds. */
  readonly #overdue = new Map<string, number>();
  /** Looks elsewhere that have a thread, and those of them that are overdue. */
  #held = 0;
  #late = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #onAnswer = new Set<() => void>();

  /** Called when something that did not answer in time has answered, or is given up by the kernel: it can be asked again. */
  onAnswer(listener: () => void): void {
    this.#onAnswer.add(listener);
  }

  /** `of`: "storage nas", for people and as the key. Errors: PXM_STORAGE_SILENT, those of `body`. */
  async look<T>(of: string, { isElsewhere }: { isElsewhere: boolean }, body: () => Promise<T>): Promise<T> {
    if (!isElsewhere) return await this.#withLimit(of, { body, weight: 0 });
    while (this.#held >= THREADS_TO_LOSE && !this.#overdue.has(of)) {
      if (this.#late >= THREADS_TO_LOSE) throw silent(of);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return await this.#withLimit(of, { body, weight: 1 });
  }

  async #withLimit<T>(of: string, { body, weight }: { body: () => Promise<T>; weight: 0 | 1 }): Promise<T> {
    if (this.#overdue.has(of)) throw silent(of);
    this.#held += weight;
    let isLate = false;
    let timer: NodeJS.Timeout | undefined;
    const looking = body().finally(() => {
      clearTimeout(timer);
      this.#held -= weight;
      if (isLate) this.#late -= weight;
      if (isLate) this.#count(of, -1);
      this.#tell();
      if (isLate) for (const listener of this.#onAnswer) listener();
    });
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        this.#late += weight;
        this.#count(of, 1);
        this.#tell();
        reject(silent(of));
      }, LIMIT_MS);
    });
    return await Promise.race([looking, limit]);
  }

  #count(of: string, more: 1 | -1): void {
    const count = (this.#overdue.get(of) ?? 0) + more;
    if (count === 0) this.#overdue.delete(of);
    else this.#overdue.set(of, count);
  }

  #tell(): void {
    for (const goOn of this.#waiting.splice(0)) goOn();
  }
}

function silent(what: string): PxmError {
  return new PxmError('PXM_STORAGE_SILENT', { what });
}

/** Whether the path lies on a file system that may stop to answer; `mountinfo` as the kernel gives it. Pure. */
export function liesElsewhere(mountinfo: string, path: string): boolean {
  let [point, type] = ['', ''];
  for (const line of mountinfo.split('\n')) {
    const [fields = '', rest = ''] = line.split(' - ');
    const at = (fields.split(' ')[4] ?? '').replace(/\\040/g, ' ');
    // Of several at one place the last one is seen.
    if (at.length < point.length || !`${path}/`.startsWith(at === '/' ? at : `${at}/`)) continue;
    [point, type] = [at, rest.split(' ', 1)[0] ?? ''];
  }
  return REMOTE.test(type);
}
