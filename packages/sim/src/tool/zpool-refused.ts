/** `zpool iostat` and `split`: only what is refused before anything is measured or moved (openzfs/zfs cmd/zpool/zpool_main.c). */
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { readPools } from '../pool/state.ts';
import { type Getopt, GetoptError } from './getopt.ts';
import { chosenPools, poolNameProblem } from './zpool-pools.ts';

export function iostat(host: Host, { operands }: Getopt): void {
  const first = operands.find((word) => !/^\d/.test(word));
  const { pools } = readPools(host);
  const devices = pools.flatMap(({ vdevs }) => vdevs.flatMap((vdev) => [vdev, ...(vdev.children ?? [])]));
  if (first !== undefined && ![...pools, ...devices].some(({ name }) => name === first))
    throw new ToolError('Unable to parse pools/vdevs list.\n\n', 1);
  throw new ToolError('zpool iostat is not part of this stand-in\n');
}

/** lib/libzfs/libzfs_pool.c zpool_vdev_split. */
export function split(host: Host, { operands }: Getopt): void {
  const [name, fresh] = operands;
  if (name === undefined) throw new GetoptError('Missing pool name');
  if (fresh === undefined) throw new GetoptError('Missing new pool name');
  const pools = chosenPools(host, [name]);
  const refuse = (reason: string): never => {
    throw new ToolError(`Unable to split ${name}: ${reason}\n`, 1);
  };
  const problem = poolNameProblem(fresh);
  if (problem !== undefined) refuse(problem);
  if (pools.some(({ vdevs }) => vdevs.some((vdev) => !vdev.name.startsWith('mirror-'))))
    refuse('Source pool must be composed only of mirrors\n');
  throw new ToolError('zpool split is not part of this stand-in\n');
}
