/** File trees of datasets: copied whole with the machine's `cp`, and looked at for processes that work in them. */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot, runProgram } from '../machine.ts';
import { ToolError } from '../tool.ts';

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

/** Does a process of this machine work in the tree, by its working directory or root? Unreadable processes do not count. */
export function isBusy(directory: string): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => ['cwd', 'root'].some((link) => isBelow(linkOf(`/proc/${pid}/${link}`), directory)));
}

function isBelow(path: string | undefined, directory: string): boolean {
  return path !== undefined && (path === directory || path.startsWith(`${directory}/`));
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
