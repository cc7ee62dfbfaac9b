import { constants } from 'node:fs';
import { lstat, open, readlink } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import type { GuestAccounts } from '../device/gid.ts';
import { isAbsent } from '../host/paths.ts';
import { parseGroup } from '../image/accounts.ts';
import type { ConfigSection } from './config-file.ts';
import { mountEntries } from './mount-entries.ts';
import { placeOf } from './volume-place.ts';
import type { VolumeParts } from './volumes.ts';

/** Accounts of a guest that exists, and what kept them from being read. */
export interface FoundAccounts extends GuestAccounts {
  readonly unknown: string | undefined;
}

const GROUP_FILE = 'etc/group';

/** From the root file system as it is on its storage: nothing is mounted, and the guest need not run. */
export async function accountsOf(parts: VolumeParts, config: ConfigSection): Promise<FoundAccounts> {
  const number = (key: string): number => Number(config.raw.find(([name]) => name === key)?.[1] ?? '0');
  const ids = { uid: number('lxc.init.uid'), gid: number('lxc.init.gid') };
  const rootfs = mountEntries(config).find(({ key }) => key === 'rootfs');
  if (rootfs?.kind !== 'volume') return { ...ids, groups: undefined, unknown: 'its root is no volume' };
  const place = await placeOf(parts, rootfs.source);
  if (place.kind === 'unknown') return { ...ids, groups: undefined, unknown: place.reason };
  const text =
    place.kind === 'folder' ? await readInside(place.path, GROUP_FILE) : await readOnDevice(parts, place.path);
  return { ...ids, groups: text === undefined ? undefined : parseGroup(text), unknown: undefined };
}

const LINKS_MAX = 8;
const BYTES_MAX = 1024 * 1024;

/**
 * A file below a folder whose content is in the hands of a guest: links are resolved by hand inside the folder, and
 * what is opened at last is no link and no pipe. Undefined when there is no such file.
 */
export async function readInside(root: string, file: string): Promise<string | undefined> {
  try {
    const path = await resolveInside(root, file);
    if (path === undefined) return undefined;
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      return stat.isFile() && stat.size <= BYTES_MAX ? await handle.readFile('utf8') : undefined;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isAbsent(error) || (error as NodeJS.ErrnoException).code === 'ELOOP') return undefined;
    throw error;
  }
}

async function resolveInside(root: string, file: string): Promise<string | undefined> {
  let rest = file.split('/');
  let at = '/';
  for (let links = 0; rest.length > 0; ) {
    const next = posix.join(at, rest[0] ?? '');
    rest = rest.slice(1);
    if (!(await lstat(`${root}${next}`)).isSymbolicLink()) {
      at = next;
      continue;
    }
    links += 1;
    if (links > LINKS_MAX) return undefined;
    // An absolute target begins at the guest's root; ".." cannot lead above it.
    rest = [
      ...posix
        .resolve(dirname(next), await readlink(`${root}${next}`))
        .split('/')
        .filter(Boolean),
      ...rest,
    ];
    at = '/';
  }
  return `${root}${at}`;
}

/** debugfs(8) reads ext4 without mounting it; it ends with 0 whatever happened, and follows no link. */
async function readOnDevice({ run }: VolumeParts, device: string): Promise<string | undefined> {
  const result = await run({
    file: 'debugfs',
    args: ['-f', '-', device],
    stdin: `cat "/${GROUP_FILE}"\n`,
    purpose: 'read the groups of the guest',
    timeoutMs: 60_000,
    readOnly: true,
  });
  const [head = '', ...lines] = result.stdout.split('\n');
  return head.startsWith('debugfs: cat') && lines.some((line) => line !== '') ? lines.join('\n') : undefined;
}
