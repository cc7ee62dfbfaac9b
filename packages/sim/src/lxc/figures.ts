/** What a running guest uses, under the names of cgroup v2 in its published cgroup folder, as links into the real one. */
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host/host.ts';
import type { LxcGuest } from './lxc-command.ts';

const V2_FILES = [
  'memory.current',
  'memory.max',
  'memory.events',
  'memory.pressure',
  'cpu.stat',
  'cpu.pressure',
  'pids.current',
  'cgroup.events',
] as const;
/** cgroup v1 has these under other names; its processor times come in another form and are left out. */
const V1_FILES: Readonly<Record<string, string>> = {
  'memory.current': 'memory/{}/memory.usage_in_bytes',
  'memory.max': 'memory/{}/memory.limit_in_bytes',
  'pids.current': 'pids/{}/pids.current',
};

export function linkFigures(host: Host, guest: LxcGuest): void {
  const group = `lxc.payload.${guest.name}`;
  const root = '/sys/fs/cgroup';
  const isV2 = existsSync(join(root, 'cgroup.controllers'));
  const files = isV2
    ? V2_FILES.map((name) => [name, `${group}/${name}`] as const)
    : Object.entries(V1_FILES).map(([name, path]) => [name, path.replace('{}', group)] as const);
  for (const [name, path] of files) {
    const target = host.path(`/sys/fs/cgroup/lxc/${guest.vmid}/${name}`);
    if (existsSync(join(root, path))) linkUnlessGone(join(root, path), target);
  }
}

/** The folder goes as soon as the guest has ended, which may be now. */
function linkUnlessGone(from: string, to: string): void {
  try {
    symlinkSync(from, to);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err;
  }
}
