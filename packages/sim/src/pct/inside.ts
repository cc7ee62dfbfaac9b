/** exec, enter, push, pull: what reaches into a running guest (pve-container src/PVE/CLI/pct.pm). */
import { chmodSync, chownSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ToolError } from '../call/tool.ts';
import { loadConfig } from '../guest/config-store.ts';
import { idBase, resolveMounts } from '../guest/disks.ts';
import { guestPath } from '../guest/os-setup.ts';
import { runtimeOf } from '../runtime/of-host.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { flag, isRunning, locked, taskOf, text, type Verb } from './context.ts';

/** Ids of the default map; others cannot be given to a file from inside. */
const MAPPED_IDS = 65_536;

export async function exec(verb: Verb): Promise<number> {
  const words = verb.call.params['extra-args'];
  const argv = Array.isArray(words) ? words.map(String) : [];
  loadConfig(verb.host, verb.vmid, verb.io.err);
  if (!isRunning(verb)) throw new ToolError(`container '${verb.vmid}' not running!\n`);
  if (argv.length === 0) throw new ToolError('missing command at /usr/share/perl5/PVE/CLI/pct.pm line 246.\n');
  const runtime = await runtimeOf(verb.host);
  return runtime.exec(verb.host, verb.vmid, { argv, keepEnv: text(verb, 'keep-env') !== '0', io: verb.io });
}

export async function enter(verb: Verb): Promise<number> {
  loadConfig(verb.host, verb.vmid, verb.io.err);
  if (!isRunning(verb)) throw new ToolError(`container '${verb.vmid}' not running!\n`);
  const runtime = await runtimeOf(verb.host);
  return runtime.exec(verb.host, verb.vmid, { argv: ['/bin/sh'], keepEnv: flag(verb, 'keep-env'), io: verb.io });
}

/** Exits 0 whatever becomes of its task. */
export async function push(verb: Verb): Promise<number> {
  await locked(verb, async () => {
    if (!isRunning(verb)) throw new ToolError('can only push files to a running CT\n');
    const config = loadConfig(verb.host, verb.vmid, verb.io.err);
    await taskOf(verb, 'push_file', async () => {
      const source = hostFile(verb, text(verb, 'file') ?? '');
      if (text(verb, 'file') === '' || !existsSync(source))
        throw new ToolError(`failed to open ${text(verb, 'file') ?? ''} for reading\n`);
      const bytes = statSync(source).isFile() ? readFileSync(source) : ''; // a device would never end
      await writeInside(verb, config, { path: text(verb, 'destination') ?? '', bytes });
    });
  });
  return 0;
}

/** Exits 0 whatever becomes of its task. */
export async function pull(verb: Verb): Promise<number> {
  await locked(verb, async () => {
    if (!isRunning(verb))
      throw new ToolError('can only pull files from a running VM at /usr/share/perl5/PVE/CLI/pct.pm line 664.\n');
    const config = loadConfig(verb.host, verb.vmid, verb.io.err);
    await taskOf(verb, 'pull_file', async () => {
      const target = createHostFile(verb, text(verb, 'destination') ?? '');
      const source = await foundInside(verb, config, { path: text(verb, 'path') ?? '', doing: 'failed to open' });
      if (source === undefined)
        throw new ToolError(`failed to open ${text(verb, 'path') ?? ''}: No such file or directory\n`);
      if (statSync(source).isFile()) writeFileSync(target, readFileSync(source));
    });
  });
  return 0;
}

/** A file on the node: below the host's root, or on this machine when the host has none of that name. */
function hostFile(verb: Verb, path: string): string {
  const own = verb.host.path(path);
  return existsSync(own) ? own : path;
}

/** Octal unless it begins with 0x; undefined: as the file has it, or as the umask makes it. */
function modeOf(verb: Verb): number | undefined {
  const given = text(verb, 'perms');
  if (given === undefined) return undefined;
  const perms = given.startsWith('0') ? given : `0${given}`;
  if (/^0x[0-9a-f]+$/i.test(perms)) return Number(perms);
  if (!/^0[0-7]*$/.test(perms)) throw new ToolError(`invalid mode: '${perms}'\n`);
  return Number.parseInt(perms, 8);
}

/** The directory that the guest sees at that path: its root or the innermost mount point, links kept inside. */
async function insidePath(verb: Verb, config: GuestConfig, path: string): Promise<string | undefined> {
  // What the kernel shows there is the node's own, as far as a guest can be told of it.
  if (/^\/proc\/[a-z]/.test(path)) return guestPath(verb.host.root, path);
  const mounts = await resolveMounts(verb.host, config);
  const inner = mounts
    .filter((m) => m.target !== '/' && (path === m.target || path.startsWith(`${m.target}/`)))
    .sort((a, b) => b.target.length - a.target.length)[0];
  const root = mounts.find((m) => m.target === '/');
  if (inner !== undefined) return guestPath(inner.source, path.slice(inner.target.length));
  return root === undefined || path === '' ? undefined : guestPath(root.source, path);
}

/** What cannot be opened is told with the words of the kernel. */
async function foundInside(
  verb: Verb,
  config: GuestConfig,
  { path, doing }: { readonly path: string; readonly doing: string },
): Promise<string | undefined> {
  try {
    return await insidePath(verb, config, path);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOTDIR') throw err;
    throw new ToolError(`${doing} ${path}: Not a directory\n`);
  }
}

async function writeInside(
  verb: Verb,
  config: GuestConfig,
  file: { path: string; bytes: string | Uint8Array },
): Promise<void> {
  const owner = { user: await accountId(verb, config, 'user'), group: await accountId(verb, config, 'group') };
  const mode = modeOf(verb);
  const folder = file.path === '' ? undefined : await insidePath(verb, config, dirname(file.path));
  // A link that is already there is followed, as upstream does from inside the guest.
  const there = await foundInside(verb, config, { path: file.path, doing: 'failed to create file:' });
  const target = createFile(there ?? (folder === undefined ? undefined : join(folder, basename(file.path))), file.path);
  writeFileSync(target, file.bytes);
  if (mode !== undefined) chmodSync(target, mode);
  for (const id of [owner.user, owner.group])
    if (id >= MAPPED_IDS) throw new ToolError('failed to change file owner: Invalid argument\n');
  if (process.getuid?.() === 0) chownSync(target, idBase(config) + owner.user, idBase(config) + owner.group);
}

/** An empty file; `path` undefined: its folder is not there. `given` is how the caller named it. */
function createFile(path: string | undefined, given: string): string {
  const folder = path === undefined ? undefined : statSync(dirname(path), { throwIfNoEntry: false });
  const failed = (reason: string): ToolError => new ToolError(`failed to create file: ${given}: ${reason}\n`);
  if (path === undefined || folder === undefined) throw failed('No such file or directory');
  if (!folder.isDirectory()) throw failed('Not a directory');
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw failed('Is a directory');
  writeFileSync(path, '');
  return path;
}

function createHostFile(verb: Verb, given: string): string {
  const owner = { user: hostAccount(verb, 'user'), group: hostAccount(verb, 'group') };
  const mode = modeOf(verb);
  const own = verb.host.path(given);
  const path = existsSync(dirname(own)) ? own : given;
  const target = createFile(existsSync(dirname(path)) ? path : undefined, given);
  if (mode !== undefined) chmodSync(target, mode);
  if (process.getuid?.() === 0) chownSync(target, owner.user ?? 0, owner.group ?? 0);
  return target;
}

/** undefined: none is asked for. */
function hostAccount(verb: Verb, kind: 'user' | 'group'): number | undefined {
  if (text(verb, kind) === undefined) return undefined;
  return idOf(verb, kind, hostFile(verb, TABLES[kind]));
}

const TABLES = { user: '/etc/passwd', group: '/etc/group' } as const;

async function accountId(verb: Verb, config: GuestConfig, kind: 'user' | 'group'): Promise<number> {
  return idOf(verb, kind, await insidePath(verb, config, TABLES[kind]));
}

function idOf(verb: Verb, kind: 'user' | 'group', table: string | undefined): number {
  const given = text(verb, kind) ?? '0';
  if (/^\d+$/.test(given)) return Number(given);
  const rows =
    table === undefined
      ? []
      : readFileSync(table, 'utf8')
          .split('\n')
          .map((line) => line.split(':'));
  const id = rows.find((row) => row[0] === given)?.[2];
  if (id === undefined) throw new ToolError(`failed to get ${kind === 'user' ? 'uid' : 'gid'} for: ${given}\n`);
  return Number(id);
}
