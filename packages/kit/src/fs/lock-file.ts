import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { PxmError } from '../error/pxm-error.ts';
import { systemCode } from '../error/to-problem.ts';

/** Who holds the lock. A pid alone is not enough: after a reboot or a wrap it belongs to a stranger. */
interface Owner {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, clock ticks after boot. */
  readonly startTime: string;
  readonly bootId: string;
}

export interface LockFile {
  release(): Promise<void>;
}

/** Takes the lock or throws PXM_ALREADY_RUNNING with the holder's pid. A lock whose holder is gone is taken over. */
export async function acquireLockFile(path: string, program: string): Promise<LockFile> {
  const mine = JSON.stringify({
    pid: process.pid,
    startTime: (await startTimeOf(process.pid)) ?? '',
    bootId: await bootId(),
  });
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await create(path, mine)) return { release: () => release(path, mine) };
    const found = await readText(path);
    if (found === undefined) continue;
    const owner = parseOwner(found);
    if (owner !== undefined && (await isAlive(owner)))
      throw new PxmError('PXM_ALREADY_RUNNING', { program, pid: String(owner.pid) });
    await moveAway(path, found);
  }
  throw new PxmError('PXM_ALREADY_RUNNING', { program, pid: 'unknown' }, { detail: `${path} keeps changing` });
}

/** link(2) gives the name to a complete file or fails; there is never an empty lock. */
async function create(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(temporary, content, { flag: 'wx', mode: 0o600 });
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    // ENOENT: the holder has just cleared its folder of what killed writers left.
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Two contenders may see the same stale lock: whoever moved a fresh one away puts it back. */
async function moveAway(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}.stale`;
  try {
    await rename(path, aside);
    if ((await readText(aside)) !== stale) await link(aside, path);
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

async function release(path: string, mine: string): Promise<void> {
  if ((await readText(path)) === mine) await rm(path, { force: true });
}

async function isAlive(owner: Owner): Promise<boolean> {
  return owner.bootId === (await bootId()) && owner.startTime === (await startTimeOf(owner.pid));
}

/** Undefined when there is no such process. The name in field 2 may hold spaces and parentheses. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readText(`/proc/${String(pid)}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

async function bootId(): Promise<string> {
  return ((await readText('/proc/sys/kernel/random/boot_id')) ?? '').trim();
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const value = JSON.parse(text) as Partial<Owner> | null;
    if (typeof value?.pid !== 'number' || typeof value.startTime !== 'string' || typeof value.bootId !== 'string')
      return undefined;
    return { pid: value.pid, startTime: value.startTime, bootId: value.bootId };
  } catch {
    // Not one of ours or damaged: nobody can hold it.
    return undefined;
  }
}
