/**
 * What an OCI image's configuration does to the guest's config (pve-container src/PVE/LXC/Create.pm
 * restore_oci_archive): entrypoint, environment and console mode of the image replace what the caller gave.
 */
import { chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ToolError } from '../call/tool.ts';
import { printPropertyString } from '../schema/property-string.ts';
import { parsePropertyString } from '../schema/value.ts';
import type { OciSettings } from '../storage/extract.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { guestPath } from './os-setup.ts';

/** Upstream lets tab to shift-in pass; a line feed in an image string therefore becomes a line of its own in the file. */
const FORBIDDEN = /[\x00-\x08\x10-\x1F\x7F]/;

export interface OciTarget {
  readonly config: GuestConfig;
  readonly root: string;
  /** `lxc.init.*` from the image's User exists since pve-container 6.1.0. */
  readonly knowsUser: boolean;
  readonly log: (text: string) => void;
}

export function applyOciSettings(settings: OciSettings, target: OciTarget): void {
  const { config } = target;
  makeVolumes(settings.volumes ?? [], target);
  const command = [...checkedList('Entrypoint', settings.entrypoint), ...checkedList('Cmd', settings.cmd)];
  if (command.length > 0 && command[0] !== '/sbin/init') {
    config.values.set('entrypoint', command.map(shellQuote).join(' '));
    config.values.set('cmode', 'console');
    letHostManageNetworks(target);
  }
  const user = checked('User', settings.user);
  if (user !== undefined && user !== '' && user !== '0' && target.knowsUser) pushUser(user, target);
  const workingDir = checked('WorkingDir', settings.workingDir);
  if (workingDir !== undefined && workingDir !== '') config.raw.push(['lxc.init.cwd', workingDir]);
  if (settings.env !== undefined) config.values.set('env', checkedList('Env', settings.env).join('\0'));
  config.raw.push(['lxc.signal.halt', checked('StopSignal', settings.stopSignal) ?? 'SIGTERM']);
}

function checked(key: string, value: string | undefined): string | undefined {
  if (value !== undefined && FORBIDDEN.test(value))
    throw new ToolError(`OCI config value for '${key}' contains forbidden control characters!\n`);
  return value;
}

function checkedList(key: string, values: readonly string[] | undefined): readonly string[] {
  if (values?.some((value) => FORBIDDEN.test(value)) === true)
    throw new ToolError(`OCI config array-value for '${key}' contains forbidden control characters!\n`);
  return values ?? [];
}

function makeVolumes(volumes: readonly string[], target: OciTarget): void {
  if (volumes.some((path) => FORBIDDEN.test(path)))
    throw new ToolError('OCI config data-volumes path contains forbidden control characters!\n');
  for (const path of volumes) {
    target.log(`creating base directory for volume at ${path}\n`);
    const there = guestPath(target.root, path);
    if (there !== undefined && !statSync(there).isDirectory()) throw fileInTheWay(path);
    if (there !== undefined) continue;
    let at = target.root;
    for (const part of join('/', path)
      .split('/')
      .filter((p) => p !== '')) {
      const next = guestPath(target.root, join(at.slice(target.root.length), part)) ?? join(at, part);
      mkdirSync(next, { recursive: true, mode: 0o755 });
      chownLike(target.root, next);
      at = next;
    }
  }
}

/** Perl's make_path, with the place in upstream's source that called it. */
function fileInTheWay(path: string): ToolError {
  return new ToolError(`mkdir /${path}: File exists at /usr/share/perl5/PVE/LXC/Create.pm line 728.\n`, 17);
}

/** Upstream makes the directory inside the guest's user namespace, so it belongs to the guest's root. */
function chownLike(root: string, path: string): void {
  const { uid, gid } = statSync(root);
  if (process.getuid?.() === 0) chownSync(path, uid, gid);
}

function letHostManageNetworks(target: OciTarget): void {
  for (const [key, text] of target.config.values) {
    if (!/^net\d+$/.test(key)) continue;
    const values = parsePropertyString('lxc.net', text);
    if (values['host-managed'] !== undefined) continue;
    target.log(`Auto-Enabling host-managed network for network device ${key}.\n`);
    target.config.values.set(key, printPropertyString('lxc.net', { ...values, 'host-managed': '1' }));
  }
}

/** Shell style, word by word: pve-common src/PVE/Cmd.pm to_string with String::ShellQuote (a word with `=` is quoted too). */
export function shellQuote(word: string): string {
  if (word === '') return "''";
  if (/^[\w!%+,\-./:@^]+$/.test(word)) return word;
  const inner = word.replaceAll("'", "'\\''").replace(/(?:'\\''){2,}/g, (run) => `'"${"'".repeat(run.length / 4)}"'`);
  return `'${inner}'`.replace(/^''/, '').replace(/''$/, '');
}

function pushUser(text: string, target: OciTarget): void {
  const parts = /^([^:]+)(?::([^:]+))?$/.exec(text);
  if (parts?.[1] === undefined) throw new ToolError("OCI config value for 'User' has an invalid format\n");
  const [, user, group] = parts;
  const account = findAccount(target.root, user);
  const uid = account?.uid ?? (/^\d+$/.test(user) ? user : undefined);
  if (uid === undefined) return;
  const push = (key: string, value: string): void => void target.config.raw.push([key, value]);
  push('lxc.init.uid', uid);
  if (group !== undefined) {
    const gid = groupId(target.root, group);
    if (gid !== undefined) push('lxc.init.gid', gid);
  } else if (account !== undefined) {
    push('lxc.init.gid', account.gid);
    const groups = readTable(target.root, '/etc/group').filter((row) =>
      (row[3] ?? '').split(',').includes(account.name),
    );
    if (groups.length > 0) push('lxc.init.groups', groups.map((row) => row[2] ?? '').join(','));
  }
}

function groupId(root: string, group: string): string | undefined {
  return /^\d+$/.test(group) ? group : readTable(root, '/etc/group').find((row) => row[0] === group)?.[2];
}

function findAccount(root: string, user: string): { name: string; uid: string; gid: string } | undefined {
  const row = readTable(root, '/etc/passwd').find((r) => (/^\d+$/.test(user) ? r[2] : r[0]) === user);
  return row?.[0] === undefined || row[2] === undefined || row[3] === undefined
    ? undefined
    : { name: row[0], uid: row[2], gid: row[3] };
}

function readTable(root: string, path: string): string[][] {
  if (guestPath(root, '/etc') === undefined) throw new ToolError(`cannot resolve ${path} path in container rootfs\n`);
  const file = guestPath(root, path);
  return file === undefined
    ? []
    : readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split(':'));
}
