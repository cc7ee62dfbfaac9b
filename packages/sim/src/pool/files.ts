/** File trees of datasets: copied whole with the machine's `cp`, and looked at for processes that work in them. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { isRoot, runProgram } from '../host/machine.ts';

/** Copies what the directory holds, with owners and modes where allowed; directories of other datasets are left out. */
export async function copyTree(from: string, to: string, without: ReadonlySet<string>): Promise<void> {
  mkdirSync(to, { recursive: true });
  if (!existsSync(from)) return;
  const names = readdirSync(from).filter(
    (name) => ![...without].some((other) => other === join(from, name) || other.startsWith(`${join(from, name)}/`)),
  );
  if (names.length > 0) {
    const args = ['-a', '--reflink=auto', '-t', to, '--', ...names.map((name) => join(from, name))];
    const result = await runProgram({ file: 'cp', args, purpose: 'copy the files of a dataset', timeoutMs: 600_000 });
    if (result.exitCode !== 0) throw new ToolError(`cannot copy ${from}: ${result.stderr.trim()}\n`, 1);
  }
  const stat = lstatSync(from);
  if (isRoot()) chownSync(to, stat.uid, stat.gid);
  chmodSync(to, stat.mode & 0o7777);
}

export interface Swap {
  readonly directory: string;
  /** Complete; takes the directory's place. Gone: it has taken it. */
  readonly fresh: string;
  /** Where the directory goes before it is deleted. */
  readonly old: string;
  /** Directories of other datasets, which stay where they are seen. */
  readonly kept: Iterable<string>;
}

/** Can be killed between any two of its steps and called again. */
export function swapFiles({ directory, fresh, old, kept }: Swap): void {
  if (existsSync(fresh)) {
    for (const path of [...kept].sort()) {
      if (!path.startsWith(`${directory}/`) || !existsSync(path)) continue;
      const target = join(fresh, relative(directory, path));
      mkdirSync(dirname(target), { recursive: true });
      rmSync(target, { recursive: true, force: true });
      renameSync(path, target);
    }
    mkdirSync(dirname(old), { recursive: true });
    if (existsSync(directory)) {
      rmSync(old, { recursive: true, force: true });
      renameSync(directory, old);
    }
    mkdirSync(dirname(directory), { recursive: true });
    renameSync(fresh, directory);
  }
  rmSync(old, { recursive: true, force: true });
}

/** Does a process of this machine work below that in-host path, by its working directory or root? Unreadable ones do not count. */
export function isBusy(host: Host, inHost: string): boolean {
  const directory = host.path(inHost);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => ['cwd', 'root'].some((link) => worksBelow(`/proc/${pid}/${link}`, directory, inHost)));
}

/**
 * A process below another root directory (a chroot into the host) has a link that reads as the in-host path; it is the
 * same directory only if the inode that many levels up is.
 */
function worksBelow(link: string, directory: string, inHost: string): boolean {
  const path = linkOf(link);
  if (path === undefined) return false;
  if (path === directory || path.startsWith(`${directory}/`)) return true;
  if (path !== inHost && !path.startsWith(`${inHost}/`)) return false;
  const levels = path.slice(inHost.length).split('/').length - 1;
  return isSame(`${link}/${'../'.repeat(levels)}`, directory);
}

function isSame(one: string, other: string): boolean {
  try {
    const there = statSync(one);
    const here = statSync(other);
    return there.ino === here.ino && there.dev === here.dev;
  } catch {
    return false;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
