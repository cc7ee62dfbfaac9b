/**
 * A stand-in host brought to the pools, datasets and guests that a recorded step began with. The recording tells of each
 * dataset its name, type, origin, refquota, what it holds and where it is mounted; files that make up the recorded
 * size are put there under one name.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncCluster } from '../../../packages/sim/src/cluster/pmxcfs.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import {
  type DatasetRecord,
  directoryOf,
  findDataset,
  mountpointOf,
  readPools,
  snapshotNames,
} from '../../../packages/sim/src/pool/state.ts';
import { parseSize } from '../../../packages/sim/src/text/size.ts';
import type { HostShell } from './host-shell.ts';
import { runHere } from './made-outcome.ts';
import { makePool } from './recorded-pools.ts';
import type { ZfsStep } from './recorded-step.ts';
import { contentsOf } from './zfs-seeds.ts';

export interface Row {
  readonly name: string;
  readonly type: string;
  readonly origin: string;
  readonly refquota: string;
  readonly used: number;
  readonly referenced: number;
  readonly mountpoint: string;
}

const MIB = 1024 ** 2;
const BALLAST = 'ballast';
/** Below that, a difference is metadata. */
const BALLAST_FROM = 96 * 1024;

export function rowOf(line: string): Row {
  const [name = '', type = '', origin = '', refquota = '', used = '', referenced = '', mountpoint = ''] =
    line.split('\t');
  return { name, type, origin, refquota, used: Number(used), referenced: Number(referenced), mountpoint };
}

export function poolsIn(lines: readonly string[]): Set<string> {
  return new Set(lines.map((line) => /^[^/@#\t]*/.exec(line)?.[0] ?? ''));
}

/** The rows of these pools as they are now, sizes left out. */
export function rowsOf(host: Host, pools: ReadonlySet<string>): Omit<Row, 'used' | 'referenced'>[] {
  const state = readPools(host);
  const none = { origin: '-', refquota: '-', mountpoint: '-' };
  return state.datasets
    .filter((dataset) => pools.has(/^[^/]*/.exec(dataset.name)?.[0] ?? ''))
    .flatMap((dataset) => [
      {
        name: dataset.name,
        type: dataset.type,
        origin: dataset.origin ?? '-',
        refquota: dataset.type === 'volume' ? '-' : (dataset.properties['refquota'] ?? '0'),
        mountpoint: mountpointOf(state, dataset) ?? '-',
      },
      ...dataset.snapshots.map((entry) => ({ ...none, name: `${dataset.name}@${entry.name}`, type: 'snapshot' })),
      ...dataset.bookmarks.map((entry) => ({ ...none, name: `${dataset.name}#${entry.name}`, type: 'bookmark' })),
    ]);
}

/** What is not there is made, what should not be there goes, quotas, mountpoints and sizes are set. */
export async function bring(host: Host, shell: HostShell | undefined, step: ZfsStep): Promise<void> {
  const rows = (step.effects.zfs_before ?? []).map(rowOf);
  await dropOthers(host, rows);
  const configs = Object.values(step.effects.conf_before ?? {}).filter((text) => text !== null);
  for (let round = 0; round < 3; round++)
    for (const row of rows) await ensure({ host, shell, rows, category: step.category, configs }, row);
  for (const row of rows.filter(({ type }) => type === 'filesystem')) fill(host, row);
  dropGuests(host, rows);
  for (const [vmid, text] of Object.entries(step.effects.conf_before ?? {})) {
    const path = host.clusterPath('nodes', 'pve1', 'lxc', `${vmid}.conf`);
    if (text === null) rmSync(path, { force: true });
    else writeFileSync(path, text);
  }
  syncCluster(host);
}

/** Guests of earlier steps whose volumes are not there any more. */
function dropGuests(host: Host, rows: readonly Row[]): void {
  const folder = host.clusterPath('nodes', 'pve1', 'lxc');
  const names = new Set(rows.map((row) => row.name.split('/').at(-1)));
  if (!names.has('data')) return;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.conf'))) {
    const root = /^rootfs: local-zfs:(?:[^,/\s]+\/)?([^,\s]+)/m.exec(readFileSync(join(folder, file), 'utf8'))?.[1];
    if (root !== undefined && !names.has(root)) rmSync(join(folder, file));
  }
}

async function dropOthers(host: Host, rows: readonly Row[]): Promise<void> {
  const pools = poolsIn(rows.map((row) => row.name));
  const wanted = new Set(rows.map((row) => row.name));
  for (const name of pools) if (!readPools(host).pools.some((pool) => pool.name === name)) makePool(host, name);
  const misplaced = outOfOrder(host, rows);
  for (const { name } of rowsOf(host, pools).reverse()) {
    if ((wanted.has(name) && !misplaced.has(name)) || !/[/@#]/.test(name)) continue;
    await letGo(host, name);
    await runHere(host, ['zfs', 'destroy', ...(name.includes('#') ? [] : ['-R']), name]);
  }
}

async function letGo(host: Host, name: string): Promise<void> {
  if (!name.includes('@')) return;
  const { stdout } = await runHere(host, ['zfs', 'holds', '-H', name]);
  for (const line of stdout.split('\n').filter((one) => one !== ''))
    await runHere(host, ['zfs', 'release', line.split('\t')[1] ?? '', name]);
}

/** Snapshots from the first one on that is not where the recording has it: they are listed in the order of their making. */
function outOfOrder(host: Host, rows: readonly Row[]): Set<string> {
  const found = new Set<string>();
  for (const dataset of readPools(host).datasets) {
    const wanted = rows.map((row) => row.name).filter((name) => name.startsWith(`${dataset.name}@`));
    const made = dataset.snapshots
      .map((entry) => `${dataset.name}@${entry.name}`)
      .filter((name) => wanted.includes(name));
    const from = made.findIndex((name, i) => name !== wanted[i]);
    if (from >= 0) for (const name of made.slice(from)) found.add(name);
  }
  return found;
}

interface Scene {
  readonly host: Host;
  readonly shell: HostShell | undefined;
  readonly rows: readonly Row[];
  readonly category: string;
  /** Of the guests the step names. */
  readonly configs: readonly string[];
}

async function ensure(scene: Scene, row: Row): Promise<void> {
  const [name = ''] = row.name.split(/[@#]/);
  const dataset = findDataset(readPools(scene.host), name);
  if (row.name.includes('@')) await ensureSnapshot(scene, row, dataset);
  else if (row.name.includes('#')) await ensureBookmark(scene.host, row, dataset);
  else if (dataset === undefined) await make(scene, row);
  else if (row.type !== 'volume') await adjust(scene.host, row, dataset);
}

async function make(scene: Scene, row: Row): Promise<void> {
  if (!(await isReceived(scene, row))) await runHere(scene.host, ['zfs', ...creation(row)]);
}

async function ensureSnapshot(scene: Scene, row: Row, dataset: DatasetRecord | undefined): Promise<void> {
  const { host, category } = scene;
  if (dataset === undefined || snapshotNames(dataset).includes(row.name)) return;
  if (dataset.type === 'filesystem') {
    fill(host, { ...row, name: dataset.name });
    writeContents(directoryOf(host, dataset) ?? '', contentsOf(category, row.name));
  }
  await runHere(host, ['zfs', 'snapshot', row.name]);
  const quota = quotaThen(scene, row.name);
  if (quota !== undefined) await runHere(host, ['zfs', 'set', `pve-storage:refquota=${quota}`, row.name]);
}

async function ensureBookmark(host: Host, row: Row, dataset: DatasetRecord | undefined): Promise<void> {
  const last = dataset?.snapshots.at(-1);
  const isThere = dataset?.bookmarks.some((entry) => row.name === `${dataset.name}#${entry.name}`) === true;
  if (last !== undefined && !isThere)
    await runHere(host, ['zfs', 'bookmark', `${row.name.split('#')[0] ?? ''}@${last.name}`, row.name]);
}

async function adjust(host: Host, row: Row, dataset: DatasetRecord): Promise<void> {
  const set = (pair: string): Promise<unknown> => runHere(host, ['zfs', 'set', pair, row.name]);
  const quota = row.refquota === '0' ? 'none' : row.refquota;
  if ((dataset.properties['refquota'] ?? '0') !== row.refquota) await set(`refquota=${quota}`);
  if (isReserved(row)) await set(`refreservation=${row.used}`);
  if (mountpointOf(readPools(host), dataset) !== row.mountpoint) await set(`mountpoint=${row.mountpoint}`);
}

/** Its snapshots are those of another dataset, name and size: it came by send and receive, so the guids are the same. */
async function isReceived({ shell, rows }: Scene, row: Row): Promise<boolean> {
  const own = rows.filter(({ name }) => name.startsWith(`${row.name}@`));
  const source = own[0] === undefined ? undefined : sameElsewhere(rows, own[0], row.name);
  if (source === undefined || shell === undefined || row.origin !== '-') return false;
  let from = '';
  for (const { name } of own) {
    const sent = `${source.split('@')[0] ?? ''}@${name.split('@')[1] ?? ''}`;
    await shell.run(['sh', '-c', `zfs send ${from} ${sent} | zfs recv ${row.name}`]);
    from = `-i ${sent}`;
  }
  return true;
}

function sameElsewhere(rows: readonly Row[], snapshot: Row, not: string): string | undefined {
  const tag = `@${snapshot.name.split('@')[1] ?? ''}`;
  return rows.find(
    (row) =>
      row.name.endsWith(tag) &&
      !row.name.startsWith(`${not}@`) &&
      row.referenced === snapshot.referenced &&
      row.referenced > BALLAST_FROM,
  )?.name;
}

function writeContents(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
}

/** It takes much more than it holds, without children or snapshots that could. */
function isReserved(row: Row): boolean {
  return row.origin === '-' && row.used > row.referenced + MIB && row.used % MIB === 0;
}

/** The size in the guest's configuration of that time, which pct keeps with the snapshot. */
function quotaThen({ configs }: Scene, snapshot: string): number | undefined {
  const [volume = '', tag = ''] = snapshot.split('/').at(-1)?.split('@') ?? [];
  for (const text of configs) {
    const section = text.split(/^(?=\[)/m).find((part) => part.startsWith(`[${tag}]`));
    const line = section?.split('\n').find((one) => one.includes(volume));
    const size = /\bsize=(\w+)/.exec(line ?? '')?.[1];
    if (size !== undefined) return parseSize(size);
  }
  return undefined;
}

function creation(row: Row): string[] {
  if (row.origin !== '-') return ['clone', row.origin, row.name];
  if (row.type !== 'volume') return ['create', row.name];
  const isThick = row.used > row.referenced + MIB;
  return isThick
    ? ['create', '-V', String(row.used - VOLUME_METADATA), row.name]
    : ['create', '-s', '-V', '16M', row.name];
}

/** What a small volume reserves beside its size. */
const VOLUME_METADATA = 2 * MIB;

/** Files of earlier steps that the recorded file system cannot have held (zeros take nothing there). */
function dropLarge(directory: string, wanted: number): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isFile() && entry.name !== BALLAST && statSync(path).size > Math.max(wanted, 0) + MIB) rmSync(path);
  }
}

/** As much as the recorded one holds; random-looking bytes, since runs of zeros would take nothing. */
function fill(host: Host, row: Pick<Row, 'name' | 'referenced'>): void {
  const dataset = findDataset(readPools(host), row.name);
  const directory = dataset === undefined ? undefined : directoryOf(host, dataset);
  if (directory === undefined || Number.isNaN(row.referenced)) return;
  const path = join(directory, BALLAST);
  const wanted = row.referenced - 24_576;
  dropLarge(directory, wanted);
  if (wanted < BALLAST_FROM) {
    if (existsSync(path)) rmSync(path);
    return;
  }
  if (
    dataset?.snapshots.some((entry) => Math.abs(entry.referencedBytes - row.referenced) < BALLAST_FROM) &&
    existsSync(path)
  )
    return;
  mkdirSync(directory, { recursive: true });
  writeFileSync(path, Buffer.alloc(wanted, 'x'));
}
