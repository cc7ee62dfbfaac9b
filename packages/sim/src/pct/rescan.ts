/** rescan: sizes and unused volumes are taken over from the storages (pve-container src/PVE/LXC.pm rescan). */

import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { addUnused, mountPoints, printMountPoint } from '../guest/mount-point.ts';
import type { Host } from '../host/host.ts';
import { volumeBackend } from '../storage/storages.ts';
import type { VolumeRow } from '../storage/volumes.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { parseSize } from '../text/size.ts';
import { contentOf, isDisabled, isOnNode } from '../text/storage-cfg.ts';
import { flag, locked, type Verb } from './context.ts';
import { ownContainers } from './show.ts';

export async function rescan(verb: Verb): Promise<number> {
  const { host, io } = verb;
  const isDry = flag(verb, 'dryrun');
  if (isDry) io.out("NOTE: running in dry-run mode, won't write changes out!\n");
  io.out('rescan volumes...\n');
  const volumes = await containerVolumes(host);
  const ids = verb.vmid > 0 ? [verb.vmid] : ownContainers(verb);
  for (const vmid of ids) await locked({ ...verb, vmid }, async () => rescanGuest({ ...verb, vmid }, volumes, isDry));
  return 0;
}

/** Guest volumes of every storage that may hold containers here. */
export async function containerVolumes(host: Host): Promise<VolumeRow[]> {
  const rows: VolumeRow[] = [];
  for (const storage of host.storages()) {
    if (isDisabled(storage) || !isOnNode(storage, host.name) || !contentOf(storage).includes('rootdir')) continue;
    rows.push(...(await (await volumeBackend(storage)).list(host, storage)));
  }
  return rows;
}

function rescanGuest(verb: Verb, volumes: readonly VolumeRow[], isDry: boolean): void {
  const config = loadConfig(verb.host, verb.vmid, verb.io.err);
  requireUnlocked(config);
  const own = volumes.filter((row) => row.vmid === verb.vmid);
  const isChanged = [addOrphans(verb, config, own), takeSizes(verb, config, own)].includes(true);
  if (isChanged && !isDry) storeConfig(verb.host, verb.vmid, config);
}

function addOrphans({ vmid, io }: Verb, config: GuestConfig, own: readonly VolumeRow[]): boolean {
  const known = new Set(mountPoints(config, { withUnused: true }).map((point) => point.volume));
  const orphans = own.filter((row) => !known.has(row.volid));
  for (const { volid } of orphans)
    io.out(`CT ${vmid}: add unreferenced volume '${volid}' as '${addUnused(config, volid)}' to config.\n`);
  return orphans.length > 0;
}

function takeSizes({ vmid, io }: Verb, config: GuestConfig, own: readonly VolumeRow[]): boolean {
  const sizes = new Map(own.map((row) => [row.volid, row.sizeBytes]));
  let isChanged = false;
  for (const point of mountPoints(config)) {
    const bytes = sizes.get(point.volume);
    const before = point.values['size'];
    if (bytes === undefined || (before !== undefined && parseSize(before) === bytes)) continue;
    io.out(`CT ${vmid}: updated volume size of '${point.volume}' in config.\n`);
    config.values.set(point.key, printMountPoint(point.key, { ...point.values, size: String(bytes) }));
    isChanged = true;
  }
  return isChanged;
}
