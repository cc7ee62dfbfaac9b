import { writeFileSync } from 'node:fs';
import type { HostPaths } from '../host/paths.ts';

/**
 * A guest that is frozen for its snapshot stays so when the tool is killed. cgroup v2 only, as all hosts that are
 * supported have it (torvalds/linux Documentation/admin-guide/cgroup-v2.rst, cgroup.freeze). True when it was frozen.
 */
export function thaw(paths: HostPaths, vmid: number): boolean {
  const frozen = [`/sys/fs/cgroup/lxc/${vmid}`, `/sys/fs/cgroup/lxc/${vmid}/ns`]
    .map((group) => `${group}/cgroup.freeze`)
    .filter((file) => paths.attribute(file) === '1');
  for (const file of frozen) writeFileSync(paths.at(file), '0');
  return frozen.length > 0;
}
