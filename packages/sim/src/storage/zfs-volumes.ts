/**
 * Guest volumes on a zfspool storage: the same datasets, properties and refusals as pve-storage
 * src/PVE/Storage/ZFSPoolPlugin.pm makes with zfs. ZFS's own texts are passed on after `zfs error: `.
 */
import { chownSync, existsSync } from 'node:fs';
import { switchesOf } from '../call/fault.ts';
import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { isRoot } from '../host/machine.ts';
import { destroyDataset, destroySnapshots } from '../pool/destroy.ts';
import { attach, mountsItself, unmountDataset } from '../pool/mounting.ts';
import type { Pairs } from '../pool/refuse.ts';
import { renameDataset } from '../pool/rename.ts';
import { setProperties } from '../pool/settings.ts';
import { cloneSnapshot, rollback, takeSnapshots } from '../pool/snapshot-verbs.ts';
import { changePools, directoryOf, findDataset, readPools, snapshotDirectory } from '../pool/state.ts';
import { usageOf } from '../pool/usage.ts';
import { createDataset } from '../pool/verbs.ts';
import type { Storage } from '../text/storage-cfg.ts';
import { parseVolumeName } from './volume-names.ts';
import type { SpaceRow, VolumeAt, VolumeBackend, VolumeRequest, VolumeRow } from './volumes.ts';
import { datasetName, poolName } from './zfs-names.ts';

const QUOTA_MARK = 'pve-storage:refquota';

/** ZFS's refusals as the plugin words them. */
async function asStorage<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    if (err instanceof ToolError) throw new ToolError(`zfs error: ${err.message}`, err.status);
    throw err;
  }
}

function freeName(host: Host, storage: Storage, request: VolumeRequest): string {
  const pattern = new RegExp(`^${poolName(storage)}/(?:vm|base|subvol|basevol)-${request.vmid}-disk-(\\d+)$`);
  const used = new Set(readPools(host).datasets.map((dataset) => pattern.exec(dataset.name)?.[1]));
  let n = 0;
  while (used.has(String(n))) n += 1;
  return `${request.format === 'subvol' ? 'subvol' : 'vm'}-${request.vmid}-disk-${n}`;
}

async function alloc(host: Host, storage: Storage, request: VolumeRequest): Promise<string> {
  if (request.format !== 'subvol' && request.format !== 'raw')
    throw new ToolError(
      `unsupported format '${request.format}' at /usr/share/perl5/PVE/Storage/ZFSPoolPlugin.pm line 292.\n`,
      25,
    );
  const prefix = request.format === 'subvol' ? 'subvol' : 'vm';
  const name = request.name ?? freeName(host, storage, request);
  if (!name.startsWith(`${prefix}-${request.vmid}-`))
    throw new ToolError(`illegal name '${name}' - should be '${prefix}-${request.vmid}-*'\n`, 25);
  const dataset = `${poolName(storage)}/${name}`;
  const kib = Math.ceil(request.sizeBytes / 1024);
  if (request.format === 'raw') {
    await asStorage(() =>
      createDataset(host, dataset, {
        properties: [],
        volumeBytes: kib * 1024,
        sparse: storage.options['sparse'] === '1',
      }),
    );
    return name;
  }
  const properties: Pairs = [
    ['acltype', 'posixacl'],
    ['xattr', 'sa'],
    ['refquota', kib === 0 ? 'none' : `${kib}k`],
  ];
  await asStorage(() => createDataset(host, dataset, { properties }));
  const directory = realDirectory(host, dataset);
  if (request.ownerId !== undefined && isRoot() && directory !== undefined)
    chownSync(directory, request.ownerId, request.ownerId);
  return name;
}

function realDirectory(host: Host, dataset: string): string | undefined {
  const state = readPools(host);
  const found = findDataset(state, dataset);
  return found === undefined ? undefined : directoryOf(host, found);
}

/** As activate_volume: a file system that is not mounted is mounted for its use. */
function activated(host: Host, dataset: string): string {
  const found = findDataset(readPools(host), dataset);
  if (found !== undefined && found.mountedAt === undefined)
    changePools(host, (state) => {
      const one = findDataset(state, dataset);
      if (one !== undefined && one.mountedAt === undefined && mountsItself(state, one)) attach(host, state, one);
    });
  return realDirectory(host, dataset) ?? host.path(`/${dataset}`);
}

async function list(host: Host, storage: Storage): Promise<VolumeRow[]> {
  const prefix = `${poolName(storage)}/`;
  const rows = readPools(host).datasets.flatMap((dataset) => {
    const name = dataset.name.startsWith(prefix) ? dataset.name.slice(prefix.length) : '';
    const vmid = /^(?:vm|base|subvol|basevol)-(\d+)-[^/\s]+$/.exec(name)?.[1];
    if (vmid === undefined) return [];
    const base =
      dataset.origin === undefined ? undefined : /\/((?:base|basevol)-\d+-[^/@]+)@__base__$/.exec(dataset.origin)?.[1];
    const sizeBytes = Number(dataset.properties[dataset.type === 'volume' ? 'volsize' : 'refquota'] ?? '0');
    return [
      {
        volid: `${storage.id}:${base === undefined ? '' : `${base}/`}${name}`,
        format: dataset.type === 'volume' ? 'raw' : 'subvol',
        sizeBytes,
        vmid: Number(vmid),
        ...(base === undefined ? {} : { parent: base }),
      },
    ];
  });
  return rows.sort((a, b) => (a.volid < b.volid ? -1 : 1));
}

async function snapshot({ host, storage, volname }: VolumeAt, name: string): Promise<void> {
  const dataset = datasetName(storage, volname);
  await asStorage(() => takeSnapshots(host, [`${dataset}@${name}`]));
  const found = findDataset(readPools(host), dataset);
  if (found?.type === 'volume') return;
  // The quota of that moment is kept with the snapshot, since a rollback leaves properties alone.
  const quota = found?.properties['refquota'] ?? '0';
  await asStorage(() => setProperties(host, `${dataset}@${name}`, [[QUOTA_MARK, quota]]));
}

async function directoryOfSnapshot({ host, storage, volname }: VolumeAt, name: string): Promise<string> {
  const dataset = datasetName(storage, volname);
  const found = findDataset(readPools(host), dataset)?.snapshots.find((entry) => entry.name === name);
  if (found === undefined)
    throw new ToolError(`zfs error: cannot open '${dataset}@${name}': dataset does not exist\n`, 1);
  return snapshotDirectory(host, found);
}

async function rollbackVolume({ host, storage, volname }: VolumeAt, name: string): Promise<void> {
  const dataset = datasetName(storage, volname);
  await asStorage(() => rollback(host, `${dataset}@${name}`, { destroyNewer: false, withClones: false }));
  const quota = findDataset(readPools(host), dataset)?.snapshots.find((entry) => entry.name === name)?.properties[
    QUOTA_MARK
  ];
  if (quota !== undefined)
    await asStorage(() => setProperties(host, dataset, [['refquota', quota === '0' ? 'none' : quota]]));
  // Left unmounted, so that the kernel forgets what it held of it; the next use mounts it.
  changePools(host, (state) => {
    const found = findDataset(state, dataset);
    if (found?.mountedAt !== undefined) unmountDataset(host, state, { name: dataset });
  });
}

async function newerSnapshots({ host, storage, volname }: VolumeAt, name: string): Promise<string[] | undefined> {
  const names = (findDataset(readPools(host), datasetName(storage, volname))?.snapshots ?? []).map(
    (entry) => entry.name,
  );
  return names.includes(name) ? names.slice(names.indexOf(name) + 1) : undefined;
}

async function rename({ host, storage, volname }: VolumeAt, targetVmid: number): Promise<string> {
  const { format, base } = parseVolumeName('zfspool', volname);
  const name = freeName(host, storage, {
    vmid: targetVmid,
    format: format === 'subvol' ? 'subvol' : 'raw',
    sizeBytes: 0,
    log: () => undefined,
  });
  await asStorage(() =>
    renameDataset(
      host,
      { from: datasetName(storage, volname), to: `${poolName(storage)}/${name}` },
      { parents: false, unmounted: false },
    ),
  );
  return base === undefined ? name : `${base}/${name}`;
}

async function makeBase({ host, storage, volname }: VolumeAt): Promise<string> {
  const { name, base: origin } = parseVolumeName('zfspool', volname);
  const base = name.replace(/^subvol-/, 'basevol-').replace(/^vm-/, 'base-');
  const to = `${poolName(storage)}/${base}`;
  await asStorage(() =>
    renameDataset(host, { from: datasetName(storage, volname), to }, { parents: false, unmounted: false }),
  );
  await snapshot({ host, storage, volname: base }, '__base__');
  return origin === undefined ? base : `${origin}/${base}`;
}

async function linkedClone({ host, storage, volname }: VolumeAt, targetVmid: number): Promise<string> {
  const { format, name: base } = parseVolumeName('zfspool', volname);
  const request = { vmid: targetVmid, sizeBytes: 0, log: () => undefined };
  const name = freeName(host, storage, { ...request, format: format === 'subvol' ? 'subvol' : 'raw' });
  const from = `${poolName(storage)}/${base}`;
  const quota = findDataset(readPools(host), from)?.properties['refquota'];
  const properties: Pairs = quota === undefined || quota === '0' ? [] : [['refquota', quota]];
  await asStorage(() =>
    cloneSnapshot(
      host,
      { from: `${from}@__base__`, to: `${poolName(storage)}/${name}` },
      { properties, parents: false },
    ),
  );
  return `${base}/${name}`;
}

async function resize({ host, storage, volname }: VolumeAt, sizeBytes: number): Promise<void> {
  const dataset = datasetName(storage, volname);
  const property = findDataset(readPools(host), dataset)?.type === 'volume' ? 'volsize' : 'refquota';
  await asStorage(() => setProperties(host, dataset, [[property, `${Math.ceil(sizeBytes / 1024)}k`]]));
}

async function space(host: Host, storage: Storage): Promise<SpaceRow> {
  const usage = usageOf(host, readPools(host)).get(poolName(storage));
  if (usage === undefined)
    throw new ToolError(`zfs error: cannot open '${poolName(storage)}': dataset does not exist\n`, 1);
  const availableBytes = switchesOf(host).freeBytes?.[storage.id] ?? usage.available;
  return { totalBytes: usage.used + usage.available, usedBytes: usage.used, availableBytes };
}

/** As PVE::Storage vdisk_free asks before the storage does anything. */
function requireNoClones(host: Host, storage: Storage, volname: string): void {
  const base = `${datasetName(storage, volname)}@__base__`;
  if (readPools(host).datasets.some((dataset) => dataset.origin === base))
    throw new ToolError(`base volume '${volname}' is still in use by linked clones\n`, 255);
}

function sizeOf(host: Host, dataset: string): number {
  const found = findDataset(readPools(host), dataset);
  return Number(found?.properties[found.type === 'volume' ? 'volsize' : 'refquota'] ?? '0');
}

export const zfsVolumes: VolumeBackend = {
  alloc,
  list,
  resize,
  rename,
  space,
  snapshot,
  snapshotDirectory: directoryOfSnapshot,
  newerSnapshots,
  rollback: rollbackVolume,
  directory: async ({ host, storage, volname }) => activated(host, datasetName(storage, volname)),
  missingText: ({ storage, volname }) =>
    `zfs error: cannot open '${datasetName(storage, volname)}': dataset does not exist\n`,
  inHostPath: ({ storage, volname }) =>
    `${storage.options['mountpoint'] ?? `/${poolName(storage)}`}/${parseVolumeName('zfspool', volname).name}`,
  exists: async ({ host, storage, volname }) => {
    const directory = realDirectory(host, datasetName(storage, volname));
    return (
      findDataset(readPools(host), datasetName(storage, volname)) !== undefined &&
      (directory === undefined || existsSync(directory))
    );
  },
  sizeBytes: async ({ host, storage, volname }) => sizeOf(host, datasetName(storage, volname)),
  destroy: async ({ host, storage, volname }) => {
    // As upstream: what is gone already is no failure (pve-storage src/PVE/Storage/ZFSPoolPlugin.pm zfs_delete_zvol).
    if (findDataset(readPools(host), datasetName(storage, volname)) === undefined) return;
    requireNoClones(host, storage, volname);
    await asStorage(() => destroyDataset(host, datasetName(storage, volname), { recursive: true }));
  },
  deleteSnapshot: async ({ host, storage, volname }, name) =>
    asStorage(() => destroySnapshots(host, `${datasetName(storage, volname)}@${name}`)),
  makeBase,
  linkedClone,
  canSnapshot: () => true,
  containerFormat: () => 'subvol',
};
