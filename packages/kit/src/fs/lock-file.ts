import { randomBytes } from 'node:crypto';
import { link, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { PxmError } from '../error/pxm-error.ts';
import { systemCode } from '../error/to-problem.ts';

/** Who holds the lock. A pid alone is not enough: after a reboot or a wrap it belongs to a stranger. */
interface Owner {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, clock ticks after boot. */
  readonly startTime: string;
  readonly bootId: string;
}

/** Each that fails is another contender's success, or two that gave way to each other. */
const ATTEMPTS = 10;

export interface LockFile {
  release(): Promise<void>;
}

/**
 * Takes the lock or throws PXM_ALREADY_RUNNING with the holder's pid. A lock whose holder is gone is not replaced: a slower
 * contender that read the old one would replace the fresh one too. The next holder makes `path.1` beside it, the one after
 * that `path.2`, each by link(2), which fails where the name exists. Who made one looks again, and holds the lock when all
 * others there are of the dead: of two, the later one sees the other. The holder alone removes what the dead have left.
 */
export async function acquireLockFile(path: string, program: string): Promise<LockFile> {
  const mine = JSON.stringify({
    pid: process.pid,
    startTime: (await startTimeOf(process.pid)) ?? '',
    bootId: await bootId(),
  });
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const last = (await numbersOf(path)).at(-1);
    if (last !== undefined) {
      const text = await readText(nameOf(path, last));
      if (text === undefined) continue;
      const owner = await livingOwner(text);
      if (owner !== undefined) throw new PxmError('PXM_ALREADY_RUNNING', { program, pid: String(owner.pid) });
    }
    const number = last === undefined ? 0 : last + 1;
    if (await take(path, number, mine)) return { release: () => release(nameOf(path, number), mine) };
  }
  throw new PxmError('PXM_ALREADY_RUNNING', { program, pid: 'unknown' }, { detail: `${path} keeps changing` });
}

function nameOf(path: string, number: number): string {
  return number === 0 ? path : `${path}.${String(number)}`;
}

/** Of the lock files that are there, in order. */
async function numbersOf(path: string): Promise<number[]> {
  const base = basename(path);
  const numbers = (await readdir(dirname(path))).flatMap((name) => {
    if (name === base) return [0];
    const digits = name.startsWith(`${base}.`) ? /^[1-9]\d{0,14}$/.exec(name.slice(base.length + 1))?.[0] : undefined;
    return digits === undefined ? [] : [Number(digits)];
  });
  return numbers.sort((a, b) => a - b);
}

/** False when somebody else was faster; then nothing of ours is left. */
async function take(path: string, number: number, mine: string): Promise<boolean> {
  const name = nameOf(path, number);
  if (!(await create(name, mine))) return false;
  const others = (await numbersOf(path)).filter((other) => other !== number).map((other) => nameOf(path, other));
  let isOurs = true;
  for (const other of others) isOurs &&= (await livingOwner((await readText(other)) ?? '')) === undefined;
  for (const obsolete of isOurs ? others : [name]) await rm(obsolete, { force: true });
  return isOurs;
}

/** link(2) gives the name to a complete file or fails; there is never an empty lock. */
async function create(name: string, content: string): Promise<boolean> {
  const temporary = `${name}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(temporary, content, { flag: 'wx', mode: 0o600 });
  try {
    await link(temporary, name);
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

async function release(name: string, mine: string): Promise<void> {
  if ((await readText(name)) === mine) await rm(name, { force: true });
}

async function livingOwner(text: string): Promise<Owner | undefined> {
  const owner = parseOwner(text);
  const isAlive = owner?.bootId === (await bootId()) && owner.startTime === (await startTimeOf(owner.pid));
  return isAlive ? owner : undefined;
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
