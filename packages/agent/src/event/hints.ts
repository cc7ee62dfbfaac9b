/** inotify on folders that exist sooner or later. A hint may be lost or come twice; it only hurries a look. */
import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { HostPaths } from '../host/paths.ts';
import { TASKS_DIR } from '../host/task-list.ts';

/** The cgroup folder of all containers (v2, then v1) is made by the first start since boot. */
const FOLDERS = [TASKS_DIR, '/sys/fs/cgroup/lxc', '/sys/fs/cgroup/systemd/lxc'] as const;
/** Attaching is tried again this often, in calls. */
const RETRY_CALLS = 25;

export class Hints {
  readonly #paths: HostPaths;
  readonly #logger: Logger;
  readonly #onHint: (path: string) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #extra: readonly string[] = [];
  #calls = 0;
  #isClosed = false;

  constructor(paths: HostPaths, logger: Logger, onHint: (path: string) => void) {
    this.#paths = paths;
    this.#logger = logger;
    this.#onHint = onHint;
  }

  /** Folders beside the fixed ones; those of an earlier call that are not named any more are let go. */
  follow(folders: readonly string[]): void {
    for (const folder of this.#extra) if (!folders.includes(folder)) this.#drop(folder);
    this.#extra = folders;
    this.#calls = 0;
  }

  /** Cheap to call at every look. */
  attach(): void {
    const isTurn = this.#calls % RETRY_CALLS === 0;
    this.#calls += 1;
    if (!isTurn || this.#isClosed) return;
    for (const folder of [...FOLDERS, ...this.#extra]) if (!this.#watchers.has(folder)) this.#attachTo(folder);
  }

  #attachTo(folder: string): void {
    try {
      const watcher = watch(this.#paths.at(folder), { persistent: false }, (_event, name) => {
        // Readers of the task list make noise on its lock file; cgroups on their own control file.
        if (name === '.active.lock' || name === 'cgroup.subtree_control') return;
        this.#onHint(folder);
      });
      watcher.on('error', () => {
        this.#drop(folder);
      });
      this.#watchers.set(folder, watcher);
    } catch (error) {
      this.#logger.trace({ err: error, folder }, 'folder cannot be watched yet');
    }
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }

  close(): void {
    this.#isClosed = true;
    for (const folder of [...this.#watchers.keys()]) this.#drop(folder);
  }
}
