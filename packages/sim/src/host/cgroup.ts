/** Which version of control groups a node's kernel has. */
import { existsSync } from 'node:fs';
import type { Host } from './host.ts';

const V2_FILE = '/sys/fs/cgroup/cgroup.controllers';

export function isCgroupV2(host: Host): boolean {
  return existsSync(host.path(V2_FILE));
}
