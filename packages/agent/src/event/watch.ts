/**
 * Notices that something changed. pmxcfs counters and the socket list are read five times a second; inotify on the task
 * list and the cgroup folder only makes the next look come sooner, since it sees neither other nodes nor overflow.
 * Everything else has a timer, and a full look every ten minutes repairs whatever was missed.
 */
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { RunningGuests, RunState } from '../guest/run-state.ts';
import { parseRunning } from '../guest/run-state.ts';
import type { HostPaths } from '../host/paths.ts';
import { readActiveTasks, TASKS_DIR } from '../host/task-list.ts';
import type { VersionCounters } from '../host/version-counters.ts';
import { parseVersionCounters, readVersionText } from '../host/version-counters.ts';
import type { Vmlist } from '../host/vmlist.ts';
import { readVmlist } from '../host/vmlist.ts';
import type { Dirty, InventoryFeed } from './changes.ts';
import { everythingDirty, nothingDirty } from './changes.ts';
import { Hints } from './hints.ts';
import { Timers } from './timers.ts';

export interface WatcherParts {
  readonly paths: HostPaths;
  readonly nodeName: string;
  readonly runState: RunState;
  readonly feed: InventoryFeed;
  /** Folders on this host's own disks in which people put template files. */
  readonly templateFolders: () => readonly string[];
  readonly hasGpuChanged: () => boolean;
  /** Before a full look: caches that live longer are dropped. */
  readonly beforeFullLook: () => void;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Names of what is read here in the node document. */
const PMXCFS = '/etc/pve';
const SOCKETS = '/proc/net/unix';
const NOBODY: RunningGuests = { containers: new Set(), vms: new Set() };
/** An address given by DHCP comes some seconds after the start, without any event. */
const YOUNG_MS = 60_000;
const AGAIN_EVERY_MS = 1_000;
const STORAGE_TASKS =
  /^(?:vz(?:create|destroy|clone|restore|template|snapshot|delsnapshot|rollback)|qm(?:create|destroy|clone|restore|template|snapshot|delsnapshot|rollback|move)|resize|move_volume|imgcopy|imgdel|download|ociregistrypull|upload|zfscreate)$/;

export class HostWatcher {
  readonly #parts: WatcherParts;
  readonly #timers: Timers;
  readonly #hints: Hints;
  #versionText = '';
  #counters: VersionCounters | undefined;
  #vmlist: Vmlist = { version: 0, guests: new Map() };
  #socketText = '';
  #running: RunningGuests = NOBODY;
  #finishedTasks = new Set<string>();
  #tasksHinted = true;
  #templateFolders: ReadonlySet<string> = new Set();
  readonly #young = new Map<number, number>();
  #againDueMs = 0;
  #touched: Dirty = nothingDirty();
  /** For the next round. */
  #due: Dirty = nothingDirty();
  #round: Promise<unknown> | undefined;
  #wake = new AbortController();

  constructor(parts: WatcherParts) {
    this.#parts = parts;
    this.#timers = new Timers(parts.clock);
    this.#hints = new Hints(parts.paths, parts.logger, (path) => {
      if (path === TASKS_DIR) this.#tasksHinted = true;
      if (this.#templateFolders.has(path)) this.#timers.soon(['template']);
      this.#wake.abort();
    });
    parts.feed.onTouch((kinds, vmid) => {
      for (const kind of kinds) this.#touched.kinds.add(kind);
      if (vmid !== undefined) this.#touched.guests.add(vmid);
      this.#wake.abort();
    });
  }

  /** Containers that run, as last seen. */
  runningContainers(): ReadonlySet<number> {
    return this.#running.containers;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, pollMs, logger } = this.#parts;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      try {
        this.#refresh(this.look());
      } catch (error) {
        logger.error({ err: error }, 'inventory round failed');
      }
      await clock.sleep(pollMs, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined);
    }
    await this.#round;
    this.#hints.close();
  }

  /** Guests at once, from files; the rest in rounds beside that, since a pool or a network share may take its time. */
  #refresh(dirty: Dirty): void {
    const { feed, logger } = this.#parts;
    if (feed.areGuestsKnown) feed.refreshGuests(dirty.guests);
    else for (const vmid of dirty.guests) this.#due.guests.add(vmid);
    for (const kind of dirty.kinds) this.#due.kinds.add(kind);
    const due = this.#due;
    if (this.#round !== undefined || (due.kinds.size + due.guests.size === 0 && !feed.isNodeStale)) return;
    this.#due = nothingDirty();
    this.#round = feed
      .refresh(due)
      .catch((error: unknown) => {
        logger.error({ err: error }, 'inventory round failed');
      })
      .finally(() => {
        this.#round = undefined;
        this.#wake.abort();
      });
  }

  /** What has changed since the last call. The first call says: everything. */
  look(): Dirty {
    this.#hints.attach();
    const due = this.#timers.due();
    const dirty = due.has('all') ? this.#everything() : nothingDirty();
    for (const kind of due)
      if (kind !== 'all' && (kind !== 'gpu' || this.#parts.hasGpuChanged())) dirty.kinds.add(kind);
    for (const kind of this.#touched.kinds) dirty.kinds.add(kind);
    for (const vmid of this.#touched.guests) dirty.guests.add(vmid);
    this.#touched = nothingDirty();
    this.#ask(PMXCFS, () => {
      this.#lookAtCounters(dirty);
    });
    this.#ask(SOCKETS, () => {
      this.#lookAtSockets(dirty);
    });
    if (this.#tasksHinted)
      this.#ask(TASKS_DIR, () => {
        this.#lookAtTasks(dirty);
      });
    this.#lookAgain(dirty);
    // Their users are part of the GPU documents.
    if (dirty.guests.size > 0) dirty.kinds.add('gpu');
    return dirty;
  }

  #everything(): Dirty {
    this.#parts.beforeFullLook();
    this.#followTemplates();
    return everythingDirty();
  }

  /** One that cannot be read keeps nobody from hearing of the others. */
  #ask(source: string, look: () => void): void {
    const { feed } = this.#parts;
    try {
      look();
      feed.noteSuccess(source);
    } catch (error) {
      feed.noteFailure(source, error);
    }
  }

  #lookAtCounters(dirty: Dirty): void {
    const before = this.#versionText;
    // Without its file system a node still has guests: the last view stands until it answers again.
    this.#versionText = '';
    const text = readVersionText(this.#parts.paths);
    if (text !== before || this.#vmlist.version !== this.#counters?.vmlist) this.#takeCounters(text, before, dirty);
    this.#versionText = text;
  }

  #takeCounters(text: string, textBefore: string, dirty: Dirty): void {
    const before = this.#counters;
    const now = parseVersionCounters(text, this.#parts.nodeName);
    if (before === undefined) this.#vmlist = readVmlist(this.#parts.paths);
    else if (textBefore === '' || before.startTime !== now.startTime) this.#restarted(dirty);
    else this.#compare(before, now, dirty);
    this.#counters = now;
  }

  /** pmxcfs began anew: all counters lost their meaning. */
  #restarted(dirty: Dirty): void {
    this.#vmlist = readVmlist(this.#parts.paths);
    for (const kind of this.#everything().kinds) dirty.kinds.add(kind);
  }

  #compare(before: VersionCounters, now: VersionCounters, dirty: Dirty): void {
    // The two dot files are not made at one moment: a list that does not show yet what was counted is read once more.
    if (this.#vmlist.version !== now.vmlist) this.#lookAtGuests(dirty);
    if (before.clusterInfo !== now.clusterInfo) dirty.kinds.add('node');
    if (before.taskList !== now.taskList) this.#tasksHinted = true;
    if (before.storageCfg !== now.storageCfg) {
      dirty.kinds.add('storage');
      dirty.kinds.add('template');
      this.#followTemplates();
    }
  }

  #followTemplates(): void {
    const folders = this.#parts.templateFolders();
    this.#templateFolders = new Set(folders);
    this.#hints.follow(folders);
  }

  #lookAtGuests(dirty: Dirty): void {
    const { paths, nodeName } = this.#parts;
    const before = this.#vmlist.guests;
    this.#vmlist = readVmlist(paths);
    const { guests } = this.#vmlist;
    for (const [vmid, entry] of guests) {
      const old = before.get(vmid);
      const isOurs = entry.node === nodeName || old?.node === nodeName;
      if (isOurs && (old?.version !== entry.version || old.node !== entry.node || old.kind !== entry.kind))
        dirty.guests.add(vmid);
    }
    for (const [vmid, entry] of before) if (!guests.has(vmid) && entry.node === nodeName) dirty.guests.add(vmid);
  }

  #lookAtSockets(dirty: Dirty): void {
    const text = this.#parts.paths.readIfThere(SOCKETS) ?? '';
    if (text === this.#socketText) return;
    const isFirst = this.#socketText === '';
    this.#socketText = text;
    const before = this.#running;
    const now = parseRunning(text);
    this.#running = now;
    for (const vmid of [...now.containers, ...now.vms]) {
      if (before.containers.has(vmid) || before.vms.has(vmid)) continue;
      dirty.guests.add(vmid);
      if (!isFirst) this.#young.set(vmid, this.#parts.clock.monotonicMs() + YOUNG_MS);
    }
    for (const vmid of [...before.containers, ...before.vms])
      if (!now.containers.has(vmid) && !now.vms.has(vmid)) dirty.guests.add(vmid);
  }

  /** A finished task tells what it may have changed besides its guest. */
  #lookAtTasks(dirty: Dirty): void {
    const rows = readActiveTasks(this.#parts.paths).filter((row) => row.endTime !== undefined);
    this.#tasksHinted = false;
    const known = this.#finishedTasks;
    this.#finishedTasks = new Set(rows.map((row) => row.upid));
    for (const { upid, parsed } of rows) {
      if (known.has(upid)) continue;
      if (/^[1-9]\d{2,8}$/.test(parsed.id)) dirty.guests.add(Number(parsed.id));
      if (STORAGE_TASKS.test(parsed.type)) this.#timers.soon(['dataset', 'storage', 'template']);
    }
  }

  /** Guests that just started, and those that could not be read when they had changed. */
  #lookAgain(dirty: Dirty): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs < this.#againDueMs) return;
    this.#againDueMs = nowMs + AGAIN_EVERY_MS;
    for (const vmid of this.#parts.feed.unreadGuests) dirty.guests.add(vmid);
    for (const [vmid, untilMs] of this.#young) {
      if (untilMs < nowMs || !this.#running.containers.has(vmid)) this.#young.delete(vmid);
      else dirty.guests.add(vmid);
    }
  }
}
