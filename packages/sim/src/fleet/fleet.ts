/**
 * A whole fleet of stand-in hosts in one folder, made from a seed. Their state is on disk as every host's is, so a
 * thousand hosts with a hundred guests each cost no memory but the objects that name them; the tools of any host run in
 * this process (door/in-process.ts). The same seed gives the same trees, byte for byte; only the stand-in's own record
 * (`.sim`) holds inode numbers and places.
 */
import { mkdirSync, realpathSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Runner } from '@pxmgr/kit/exec/command';
import { guestFile, syncCluster } from '../cluster/pmxcfs.ts';
import { createInProcessRunner } from '../door/in-process.ts';
import { addGpu } from '../host/devices.ts';
import type { Host } from '../host/host.ts';
import { machineRunner } from '../host/machine.ts';
import { addDatasets, type PlannedDataset } from '../pool/planned.ts';
import { createPool } from '../pool/pools.ts';
import { playGuests } from '../runtime/played.ts';
import { formatSize } from '../text/size.ts';
import { createHost } from './new-host.ts';
import { type FleetSize, type GuestPlan, type HostPlan, POOL, planHost } from './plan.ts';

export interface FleetHost {
  readonly host: Host;
  readonly cluster: string | undefined;
  /** Runs the host's tools as functions. */
  readonly runner: Runner;
}

export interface Fleet {
  readonly hosts: readonly FleetHost[];
}

/** The caller removes the folder. One host after the other, so that nobody holds the plans of all guests at once. */
export async function makeFleet(folder: string, size: FleetSize): Promise<Fleet> {
  mkdirSync(folder, { recursive: true });
  const base = realpathSync(folder);
  const hosts: FleetHost[] = [];
  for (let index = 0; index < size.hosts; index += 1) {
    const plan = planHost(size, index);
    const host = await makePlanned(base, plan);
    hosts.push({
      host,
      cluster: plan.cluster,
      runner: createInProcessRunner(host, { fallback: machineRunner() }),
    });
    // The cluster counts the guests of all its members in one look.
    if (plan.cluster === undefined || isLast(size, index, plan.cluster)) syncCluster(host);
  }
  return { hosts };
}

function isLast(size: FleetSize, index: number, cluster: string): boolean {
  return index + 1 === size.hosts || planHost({ ...size, guestsPerHost: 0 }, index + 1).cluster !== cluster;
}

async function makePlanned(base: string, plan: HostPlan): Promise<Host> {
  const { name, cluster, ip, cores, memoryBytes, startTime, storages, poolBytes, gpu } = plan;
  const host = createHost(join(base, 'hosts', name), {
    name,
    ip,
    cores,
    memoryBytes,
    startTime,
    storages,
    ...(cluster === undefined ? {} : { clusterDir: join(base, 'clusters', cluster), clusterName: cluster }),
  });
  if (poolBytes !== undefined) {
    createPool(host, { name: POOL, sizeBytes: poolBytes });
    const own = plan.guests.filter((guest) => guest.storage === 'local-zfs');
    addDatasets(host, [{ name: `${POOL}/guests` }, ...own.map(datasetOf)], startTime);
  }
  if (gpu !== undefined) await addGpu(host, { kind: gpu, address: '0000:01:00.0' });
  for (const guest of plan.guests) writeGuest(host, guest);
  playGuests(
    host,
    plan.guests
      .filter((guest) => guest.isRunning)
      .map(({ vmid, kind, values }) => ({ vmid, kind, values: new Map(Object.entries(values)), since: startTime })),
  );
  return host;
}

function diskName({ vmid, kind, storage }: GuestPlan): string {
  if (storage === 'local') return `${vmid}/vm-${vmid}-disk-0.raw`;
  return kind === 'qemu' ? `vm-${vmid}-disk-0` : `subvol-${vmid}-disk-0`;
}

function datasetOf(guest: GuestPlan): PlannedDataset {
  const name = `${POOL}/guests/${diskName(guest)}`;
  if (guest.kind === 'qemu') return { name, volumeBytes: guest.diskBytes };
  return { name, properties: { acltype: 'posix', xattr: 'sa', refquota: String(guest.diskBytes) } };
}

function writeGuest(host: Host, guest: GuestPlan): void {
  const { vmid, kind, storage, diskBytes } = guest;
  if (storage === 'local') {
    const image = host.path(`/var/lib/vz/images/${diskName(guest)}`);
    mkdirSync(host.path(`/var/lib/vz/images/${vmid}`));
    writeFileSync(image, '', { mode: 0o640 });
    truncateSync(image, diskBytes);
    if (kind === 'lxc') mkdirSync(host.path(`/var/lib/vz/.volumes/${diskName(guest)}`), { recursive: true });
  }
  const disk = `${storage}:${diskName(guest)},size=${formatSize(diskBytes)}`;
  const values = { ...guest.values, [kind === 'qemu' ? 'scsi0' : 'rootfs']: disk };
  const lines = Object.entries(values)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value}\n`);
  writeFileSync(host.clusterPath(guestFile(host.name, kind, vmid)), lines.join(''), { mode: 0o640 });
}
