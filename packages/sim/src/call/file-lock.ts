/**
 * flock(2) on a lock file of the host, held while a section runs; every other program that locks the same file waits
 * for us and we for it. Node cannot call flock, so /usr/bin/flock locks the open file we hand it: the lock belongs to
 * the open file description and stays ours until we close it or die.
 * Waits and texts are pve-common src/PVE/Tools.pm lock_file_full's.
 */
import { constants, mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../host/host.ts';
import { scaledWait, switchesOf } from './switches.ts';
import { ToolError } from './tool.ts';

export interface LockRequest {
  readonly host: Host;
  /** In-host path. */
  readonly path: string;
  readonly waitMs: number;
  /** Where "trying to acquire lock..." goes: the command's stderr, or the task's output. */
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  /** The lock is let go at once when this is aborted. */
  readonly death?: AbortSignal | undefined;
  /** 4 outside a task (EINTR of the time limit), 255 inside. */
  readonly timeoutStatus?: number;
}

export async function withFileLock<T>(request: LockRequest, section: () => Promise<T>): Promise<T> {
  const real = request.host.path(request.path);
  const waitMs = scaledWait(request.host, request.waitMs);
  mkdirSync(dirname(real), { recursive: true });
  const file = await open(real, constants.O_CREAT | constants.O_RDWR | constants.O_APPEND, 0o644);
  request.death?.addEventListener('abort', () => void file.close());
  try {
    if (!(await tryLock(file.fd, ['-n'], request))) {
      request.say('trying to acquire lock...\n');
      if (!(await waitForLock(file.fd, waitMs, request))) {
        throw new ToolError(`can't lock file '${request.path}' - got timeout\n`, request.timeoutStatus ?? 4);
      }
      request.say(' OK\n');
    }
    return await section();
  } finally {
    await file.close();
  }
}

async function waitForLock(fd: number, waitMs: number, request: LockRequest): Promise<boolean> {
  if (!isHeldOutside(request)) return tryLock(fd, ['-w', String(waitMs / 1000)], request);
  await sleep(waitMs, undefined, { signal: request.signal }).catch(() => undefined);
  if (request.signal.aborted) throw new ToolError('received interrupt\n');
  return false;
}

function isHeldOutside({ host, path }: LockRequest): boolean {
  return switchesOf(host).heldLocks?.includes(path) === true;
}

async function tryLock(fd: number, limit: readonly string[], request: LockRequest): Promise<boolean> {
  if (isHeldOutside(request)) return false;
  const { machineRunner } = await import('../host/machine.ts');
  const command = {
    file: '/usr/bin/flock',
    args: ['-x', ...limit, '3'],
    purpose: 'lock a file',
    timeoutMs: request.waitMs + 10_000,
    killGraceMs: 100,
    extraFds: [fd],
  };
  const result = await machineRunner().run(command, { signal: request.signal });
  if (request.signal.aborted) throw new ToolError('received interrupt\n');
  return result.exitCode === 0;
}
