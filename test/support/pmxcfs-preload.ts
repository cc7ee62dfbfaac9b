/**
 * Loaded before an agent: makes the folder that stands for /etc/pve deny and hold up writes as the cluster file system does.
 * A node that is cut off and does not know it yet holds a write up; one without quorum denies it, to root as well. The
 * host's folder is in the address of this module.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { noticeIn } from '@pxmgr/sim/cluster/membership';
import { isQuorate } from '@pxmgr/sim/cluster/pmxcfs';
import { Host } from '@pxmgr/sim/host/host';

const root = new URL(import.meta.url).searchParams.get('root') ?? '';
const PVE = join(root, 'etc/pve/');
const LOOK_MS = 20;

async function requireWritable(path: string): Promise<void> {
  const host = Host.open(root);
  while ((noticeIn(host) ?? 0) > 0) await sleep(LOOK_MS);
  if (isQuorate(host)) return;
  throw Object.assign(new Error(`EACCES: permission denied, '${path}'`), { code: 'EACCES', errno: -13, path });
}

type Call = (path: unknown, ...rest: unknown[]) => Promise<unknown>;

const doors = fs.promises as unknown as Record<string, Call>;
for (const name of ['open', 'rename', 'rm', 'unlink', 'writeFile', 'mkdir']) {
  const original = doors[name];
  if (original === undefined) throw new Error(`no ${name} in node:fs/promises`);
  doors[name] = async (path, ...rest) => {
    const text = path instanceof URL ? fileURLToPath(path) : String(path);
    const isRead = name === 'open' && (rest[0] === undefined || rest[0] === 'r');
    if (!isRead && text.startsWith(PVE)) await requireWritable(text);
    return await original(path, ...rest);
  };
}
syncBuiltinESMExports();
