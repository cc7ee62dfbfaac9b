/** The pools of the recorded ZFS lab. */
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import { createPool } from '../../../packages/sim/src/pool/pools.ts';
import type { Vdev } from '../../../packages/sim/src/pool/state.ts';

const MIB = 1024 ** 2;
/** What `zpool list` tells of the recorded pools. */
const POOL_BYTES: Readonly<Record<string, number>> = {
  rpool: 1920 * MIB,
  tank: 480 * MIB,
  tiny: 80 * MIB,
  mir: 112 * MIB,
  dmg: 80 * MIB,
};
/** Pools were made with these (`zpool create -O`). */
const POOL_PROPERTIES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tank: { compression: 'lz4', acltype: 'posix' },
  tiny: { compression: 'off' },
};
const POOL_VDEVS: Readonly<Record<string, readonly Vdev[]>> = {
  mir: [
    {
      name: 'mirror-0',
      state: 'ONLINE',
      children: [
        { name: '/var/lib/m1.img', state: 'ONLINE' },
        { name: '/var/lib/m2.img', state: 'ONLINE' },
      ],
    },
  ],
};
const FILE_BYTES = 128 * MIB;

/** Pools of the recorded lab are made of plain files. */
export function makePool(host: Host, name: string): void {
  const vdevs = POOL_VDEVS[name] ?? [{ name: `/var/lib/${name}.img`, state: 'ONLINE' }];
  for (const path of ['m1', 'm2', 'm3', name].map((file) => host.path(`/var/lib/${file}.img`)))
    if (!existsSync(path)) {
      writeFileSync(path, '');
      truncateSync(path, FILE_BYTES);
    }
  createPool(host, { name, sizeBytes: POOL_BYTES[name] ?? 4096 * MIB, vdevs }, POOL_PROPERTIES[name]);
}
