/**
 * The part of a node that runs all the time: the cluster file system notices changes made by others than our tools
 * (an agent that edits a guest's file) and that the node was cut off, and the status daemon renews /etc/pve/.rrd.
 */
import { mkdirSync, watch as watchFolder } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeStatus } from '../api/status-file.ts';
import { noticeCut, noticeIn } from '../cluster/membership.ts';
import { syncCluster } from '../cluster/pmxcfs.ts';
import type { Host } from '../host/host.ts';

const STATUS_EVERY_MS = 10_000;

export interface WatchOptions {
  /** Heard after each look at the tree; for tests. */
  readonly onSync?: () => void;
  readonly statusEveryMs?: number;
}

/** Ends when the signal is aborted. */
export async function watchHost(host: Host, signal: AbortSignal, options: WatchOptions = {}): Promise<void> {
  const look = (): void => {
    syncCluster(host);
    options.onSync?.();
  };
  const folders = [
    host.clusterPath('nodes', host.name, 'lxc'),
    host.clusterPath('nodes', host.name, 'qemu-server'),
    host.clusterDir,
  ];
  const watchers = folders.map((folder) => {
    mkdirSync(folder, { recursive: true });
    return watchFolder(folder, { signal, persistent: true }, look);
  });
  const notice = (): void => {
    const ms = noticeIn(host);
    if (ms !== undefined) setTimeout(() => noticeCut(host), ms + 1);
  };
  watchers.push(
    watchFolder(host.simPath(), { signal, persistent: true }, (_, name) => {
      if (name === 'cut.json') notice();
    }),
  );
  notice();
  look();
  while (!signal.aborted) {
    await writeStatus(host);
    await sleep(options.statusEveryMs ?? STATUS_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
  for (const watcher of watchers) watcher.close();
}
