/**
 * What steps outside the sample, and set-up without a record, had done before a step: files of the recorded host, and
 * settings that the list of datasets does not show.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { syncCluster } from '../../../packages/sim/src/cluster/pmxcfs.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import { runningGuest, runningGuests } from '../../../packages/sim/src/host/running.ts';
import { changePools, findDataset, type PoolRecord } from '../../../packages/sim/src/pool/state.ts';
import { changed, setVdevs } from '../../../packages/sim/src/pool/vdevs.ts';
import { runHere } from './made-outcome.ts';
import { makePool } from './recorded-pools.ts';
import type { ZfsStep } from './recorded-step.ts';

const MANY = Array.from({ length: 150 }, (_, i) => `tank/b/d${i + 1}`);

const MANY_MADE = [
  ['zfs', 'create', 'tank/b'],
  ...MANY.map((name) => ['zfs', 'create', name]),
  ['zfs', 'snapshot', ...MANY.map((name) => `${name}@s`)],
];

const COMMANDS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'zfs-get-005': [['zfs', 'set', 'pxmgr:owner=agent', 'tank/b']],
  'zfs-hold-018': [['zfs', 'release', 'backup', 'tank/a@s1']],
  'zfs-hold-022': [['zfs', 'hold', 'pxmgr', 'tank/a@s1']],
  'zfs-rollback-013': [['zfs', 'hold', 'keep', 'tank/a@h1']],
  'zfs-destroy-025': [['zfs', 'unmount', 'tank/a/u1']],
  'zfs-list-001': [
    ['zfs', 'set', 'volsize=10g', 'tank/v6'],
    ['zfs', 'set', 'volsize=32m', 'tank/v2'],
  ],
  'zfs-list-029': MANY_MADE,
  'zfs-destroy-027': MANY_MADE,
  'zpool-073': [['zfs', 'create', 'dmg/a']],
  'zpool-033': [['zpool', 'export', 'mir']],
  'pvesm-020': [['zfs', 'hold', 'keep', 'rpool/data/subvol-152-disk-0@x']],
  'pct-delsnapshot-001': [['zfs', 'hold', 'keep', 'rpool/data/subvol-101-disk-0@s2']],
  'zfs-mount-011': [['zfs', 'unmount', 'tank/a']],
};

/** Settings that a fresh copy of the dataset would refuse, since it was over its limit then. */
const PROPERTIES: Readonly<Record<string, readonly [dataset: string, property: string, value: string]>> = {
  'zfs-quota-009': ['tank/qq', 'quota', String(20 * 1024 ** 2)],
};

/** Guests that ran when the steps of a category, or one of them, were recorded. */
const RUNNING: Readonly<Record<string, readonly number[]>> = {
  'pct-status': [120],
  'pct-exec': [120],
  'pct-hot': [120],
  'pct-snap-run': [125],
  'pct-stop-001': [120],
  'pct-stop-004': [],
  'pct-stop-011': [125],
  'pct-destroy-run-001': [],
  'pct-start-001': [],
  'pct-start-003': [120],
  'pct-start-004': [],
  'pct-list-003': [120],
};

/** Guests that the recording does not show, since the command did not name them. */
const GUESTS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  'pvesm-002': { 101: 'bb1' },
  'pvesm-022': { 101: 'bb1', 102: 'c102', 110: 'l110', 111: 'l111', 114: 'bb1', 120: 'newname' },
  'pct-list-003': { 101: 'bb1', 102: 'c102', 110: 'l110', 111: 'l111', 114: 'bb1', 115: 'l110', 120: 'newname' },
  'pct-status-003': { 101: 'bb1', 120: 'r120' },
};

async function seedGuests(host: Host, step: ZfsStep): Promise<void> {
  for (const [vmid, name] of Object.entries(GUESTS[step.id] ?? {})) {
    const path = host.clusterPath('nodes', 'pve1', 'lxc', `${vmid}.conf`);
    if (!existsSync(path))
      writeFileSync(
        path,
        `arch: amd64\nhostname: ${name}\nmemory: 64\nostype: unmanaged\nrootfs: local-zfs:subvol-${vmid}-disk-0\nswap: 0\nunprivileged: 1\n`,
      );
  }
  syncCluster(host);
  const wanted = RUNNING[step.id] ?? RUNNING[step.category];
  if (wanted === undefined) return;
  for (const { vmid } of runningGuests(host))
    if (!wanted.includes(vmid)) await runHere(host, ['pct', 'stop', String(vmid)]);
  for (const vmid of wanted)
    if (runningGuest(host, vmid) === undefined) await runHere(host, ['pct', 'start', String(vmid)]);
}

/** Damage and data that no command makes. */
const SCENES: Readonly<Record<string, (host: Host) => void>> = {
  'zfs-list-029': (host) => {
    makePool(host, 'tank');
  },
  'zpool-046': (host) => {
    changePool(host, 'mir', (pool) => {
      setVdevs(
        pool,
        changed(pool.vdevs, '/var/lib/m2.img', (vdev) => ({ ...vdev, checksumErrors: 57 })),
      );
      if (pool.scan !== undefined) pool.scan = { ...pool.scan, endTime: pool.scan.startTime, repairedBytes: 1_121_976 };
    });
  },
  'zpool-050': (host) => {
    writeFileSync(host.path('/mir/a/data'), Buffer.alloc(31_600_000, 'x'));
  },
  'zpool-066': (host) => {
    makePool(host, 'dmg');
    changePool(host, 'dmg', (pool) => {
      pool.errorCount = 6;
      setVdevs(
        pool,
        changed(pool.vdevs, '/var/lib/dmg.img', (vdev) => ({ ...vdev, checksumErrors: 26 })),
      );
    });
  },
};

function changePool(host: Host, name: string, change: (pool: PoolRecord) => void): void {
  changePools(host, (state) => {
    for (const pool of state.pools) if (pool.name === name) change(pool);
  });
}

export async function seed(host: Host, step: ZfsStep): Promise<void> {
  await seedGuests(host, step);
  SCENES[step.id]?.(host);
  for (const argv of COMMANDS[step.id] ?? []) await runHere(host, argv);
  const [dataset, property, value] = PROPERTIES[step.id] ?? [];
  if (dataset === undefined || property === undefined || value === undefined) return;
  changePools(host, (state) => {
    Object.assign(findDataset(state, dataset)?.properties ?? {}, { [property]: value });
  });
}

/** Files that lay in a dataset when a snapshot was taken. */
const CONTENTS: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>> = {
  'zfs-rollback': { 'tank/a@s1': { f: '1\n' }, 'tank/a@s2': { f: '2\n' } },
  'zfs-send': { 'tank/a@s3': { f3: '3\n' } },
};

export function contentsOf(category: string, snapshot: string): Readonly<Record<string, string>> {
  return CONTENTS[category]?.[snapshot] ?? {};
}
