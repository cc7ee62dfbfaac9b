/**
 * The lock over a file of the cluster: a folder below priv/lock, which only one node can make (pve-cluster
 * src/PVE/Cluster.pm cfs_lock). A lock that nobody renewed for two minutes is taken over.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { scaledWait } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { isQuorate } from './pmxcfs.ts';

const TRIES = 9;
const STALE_MS = 120_000;
/** EACCES of the last mkdir, and EEXIST. */
const NO_QUORUM_STATUS = 13;
const TIMEOUT_STATUS = 17;

export interface CfsLock {
  readonly host: Host;
  /** `file-storage_cfg`. */
  readonly id: string;
  /** Stands in front of a failure to get the lock: `create storage failed: `. */
  readonly prefix: string;
  readonly say: (text: string) => void;
}

export async function withCfsLock<T>(lock: CfsLock, section: () => T | Promise<T>): Promise<T> {
  const folder = lock.host.clusterPath('priv/lock', lock.id);
  for (let tries = 0; !take(lock.host, folder); tries++) {
    if (tries === TRIES) throw refusal(lock);
    lock.say(`trying to acquire cfs lock '${lock.id}' ...\n`);
    await sleep(scaledWait(lock.host, 1000));
  }
  try {
    return await section();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function refusal({ host, id, prefix }: CfsLock): ToolError {
  const [reason, status] = isQuorate(host)
    ? (['got lock request timeout', TIMEOUT_STATUS] as const)
    : (['no quorum!', NO_QUORUM_STATUS] as const);
  return new ToolError(`${prefix}cfs-lock '${id}' error: ${reason}\n`, status);
}

function take(host: Host, folder: string): boolean {
  if (!isQuorate(host)) return false;
  const held = statSync(folder, { throwIfNoEntry: false });
  if (held !== undefined && Date.now() - held.mtimeMs > STALE_MS) rmSync(folder, { recursive: true, force: true });
  try {
    mkdirSync(folder);
    return true;
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw err;
  }
}
