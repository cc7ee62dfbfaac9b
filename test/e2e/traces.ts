/** What work leaves behind, or must not: files of a host, mounts, processes, locks, running tasks. */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning } from '@pxmgr/sim/cluster/task';
import type { NodeProcess } from '../../deploy/stand/node.ts';

/** Files that change by themselves or are a host's own record of what happened. */
const LIVING = [
  /^\/var\/log\/(?:pve|lxc)/,
  // Folders that the first use makes.
  /^\/sys\/fs\/cgroup\/lxc\.monitor$/,
  /^\/var\/lib\/vz\/\.volumes$/,
  /^\/proc\//,
  /^\/\.sim\/(?!cluster$|cluster\/nodes|volumes)/,
  /^\/etc\/pve\/\./,
  /^\/run\/lock\/lxc\/pve-config-\d+\.lock$/,
  // Half of a configuration, from a pct that was killed in its own write: nothing lists it, and it is not ours to remove.
  /^\/\.sim\/cluster\/nodes\/[^/]+\/lxc\/\d+\.conf\.tmp\.\d+$/,
  // Reasons of their own to stay: an image that was pulled is kept for the next guest.
  /^\/var\/lib\/vz\/template\/cache\/[^/]+\.tar$/,
];

/** Every path below `root`, with the content's hash of the files that match `contentOf`. Links are not followed. */
export function treeOf(root: string, ignored: readonly RegExp[], contentOf: RegExp = /(?!)/): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const name of listing(join(root, folder))) {
      const path = `${folder}/${name}`;
      if (ignored.some((pattern) => pattern.test(path))) continue;
      const stat = lstatSync(join(root, path), { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (stat.isDirectory()) walk(path);
      found.set(path, stat.isFile() && contentOf.test(path) ? hashOf(join(root, path)) : kindOf(stat));
    }
  };
  walk('');
  return found;
}

function kindOf(stat: { isDirectory(): boolean; isSymbolicLink(): boolean }): string {
  return stat.isDirectory() ? 'folder' : stat.isSymbolicLink() ? 'link' : 'file';
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function listing(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    // Removed while we looked.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The host's own files: guests, volumes, locks; what it keeps on purpose is left out. Configurations by content. */
export function hostTree(node: NodeProcess): Map<string, string> {
  return treeOf(node.host.root, LIVING, /^\/(?:etc\/pve|\.sim\/cluster)\/.*\.(?:conf|cfg)$/);
}

/** Temporary things in the agent's own folder. */
export function agentScratch(node: NodeProcess): string[] {
  const tree = treeOf(node.stateDir, [/^\/images\/blobs\/sha256\/[0-9a-f]{64}$/]);
  return [...tree]
    .filter(([path, kind]) => kind !== 'folder' && /\.tmp|\.stale|\/scratch\/|partial/.test(path))
    .map(([path]) => path);
}

/** Lines for people; empty when both are the same. */
export function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [
    ...[...after].filter(([path]) => !before.has(path)).map(([path, kind]) => `new ${kind}: ${path}`),
    ...[...before].filter(([path]) => !after.has(path)).map(([path]) => `gone: ${path}`),
    ...[...after]
      .filter(([path, kind]) => before.has(path) && before.get(path) !== kind)
      .map(([path]) => `changed: ${path}`),
  ];
}

/** Mounts of this machine below a folder. */
export function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => (line.split(' ')[1] ?? '').startsWith(folder));
}

export interface ProcessView {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** Processes of this machine whose argv names the folder. */
export function processesOf(folder: string): ProcessView[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), argv: argvOf(name) }))
    .filter(({ argv }) => argv.some((word) => word.includes(folder)));
}

function argvOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    // Ended meanwhile.
    return [];
  }
}

/** Tasks whose worker is alive; the line of one that was killed stays until the next task, as on a node. */
export function runningTasks(node: NodeProcess): string[] {
  const file = node.host.path('/var/log/pve/tasks/active');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(' 0') && isRunning(node.host, line.slice(0, -2)));
}

/** `lock` lines of the containers' configurations; half of one, under its temporary name, locks nothing. */
export function guestLocks(node: NodeProcess): string[] {
  const folder = node.host.path('/etc/pve/lxc');
  return listing(folder)
    .filter((name) => name.endsWith('.conf'))
    .flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('lock:'))
        .map((line) => `${name}: ${line}`),
    );
}

export function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

export interface LoggedCommand {
  readonly argv: readonly string[];
  readonly exit: number | null;
  readonly op?: string;
}

/** The agent's own command log from a byte offset on. */
export function commandsOf(node: NodeProcess, from = 0): LoggedCommand[] {
  return readText(node.commandLog)
    .slice(from)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LoggedCommand);
}

/** SIGKILL to the host's tools that run now, with whoever waits for them gone before: nobody undoes what they began. */
export function killTools(node: NodeProcess): void {
  for (const { pid, argv } of processesOf(node.host.root)) {
    if (!argv.includes('tool')) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // Ended in this moment.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
