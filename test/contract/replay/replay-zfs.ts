/**
 * Steps of `samples/recorded-zfs`. The recording tells of each dataset only name, type, origin, refquota and mountpoint,
 * so one host lives through a whole category and is brought to the recorded state before each step; what earlier steps
 * set beside that (holds, user properties, bookmarks) stays. Sizes that follow from what was written are not compared.
 */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Host } from '../../../packages/sim/src/host.ts';
import { createHost } from '../../../packages/sim/src/new-host.ts';
import { syncCluster } from '../../../packages/sim/src/pmxcfs.ts';
import { mountpointOf, readPools } from '../../../packages/sim/src/pool/state.ts';
import { createPool } from '../../../packages/sim/src/pool.ts';
import { TOOLS } from '../../../packages/sim/src/tool/all-tools.ts';
import { makeTemplates } from './lab-files.ts';
import { runHere } from './made-outcome.ts';
import { masked } from './outcome.ts';
import type { ZfsStep } from './recorded-step.ts';

const GIB = 1024 ** 3;
const STORAGE =
  'dir: local\n\tpath /var/lib/vz\n\tcontent rootdir,vztmpl,iso,snippets,images\n\nzfspool: local-zfs\n\tpool rpool/data\n\tcontent rootdir,images\n\tsparse 1\n';

interface Row {
  readonly name: string;
  readonly type: string;
  readonly origin: string;
  readonly refquota: string;
  readonly mountpoint: string;
}

function rowOf(line: string): Row {
  const [name = '', type = '', origin = '', refquota = '', , , mountpoint = ''] = line.split('\t');
  return { name, type, origin, refquota, mountpoint };
}

/** Replays a category in order; undefined: the step needs a shell or another program. */
async function replayZfsCategory(
  steps: readonly ZfsStep[],
): Promise<{ id: string; differences: readonly string[] | undefined }[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-replay-zfs-'));
  const host = createHost(join(folder, 'pve1'), { name: 'pve1', cores: 2, memoryBytes: 8 * GIB });
  copyFileSync(makeTemplates(folder).archive, host.path('/var/lib/vz/template/cache/busybox-1.35_amd64.tar.gz'));
  writeFileSync(host.clusterPath('storage.cfg'), STORAGE);
  const done = [];
  try {
    for (const step of steps) done.push({ id: step.id, differences: await replayStep(host, step) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return done;
}

async function replayStep(host: Host, step: ZfsStep): Promise<string[] | undefined> {
  if (!Object.hasOwn(TOOLS, step.argv[0] ?? '') || step.run_as_uid !== undefined) return undefined;
  await bring(host, step);
  const ran = await runHere(host, step.argv, step.stdin);
  const found: string[] = [];
  const compare = (what: string, want: unknown, got: unknown): void => {
    if (JSON.stringify(want) !== JSON.stringify(got))
      found.push(`${what}: recorded ${JSON.stringify(want)}\n      made     ${JSON.stringify(got)}`);
  };
  compare('exit', step.exit, ran.exit);
  compare('stdout', sizes(masked(step.stdout)), sizes(masked(ran.stdout)));
  compare('stderr', masked(step.stderr), masked(ran.stderr));
  const { effects } = step;
  const after = effects.zfs_after ?? effects.zfs_before;
  if (after != null) compare('datasets', after.map(stateRow).sort(), datasetRows(host, poolsIn(after)).sort());
  for (const [vmid, want] of Object.entries(effects.conf_after ?? {}))
    compare(`config ${vmid}`, want === null ? null : masked(want), maskedOrNull(configText(host, vmid)));
  return found;
}

function maskedOrNull(text: string | null): string | null {
  return text === null ? null : masked(text);
}

/** Byte numbers and human sizes of what is used or free. */
function sizes(text: string): string {
  return text
    .replace(/\b\d{4,}\b/g, '<n>')
    .replace(/\b\d+(?:\.\d+)?[KMGT]\b/g, '<n>')
    .replace(/<n> +/g, '<n> ');
}

function stateRow(line: string): string {
  const { name, type, origin, refquota, mountpoint } = rowOf(line);
  return [name, type, origin, refquota, mountpoint].join(' ');
}

function poolsIn(lines: readonly string[]): Set<string> {
  return new Set(lines.map((line) => /^[^/@#\t]*/.exec(line)?.[0] ?? ''));
}

function datasetRows(host: Host, pools: ReadonlySet<string>): string[] {
  const state = readPools(host);
  return state.datasets
    .filter((dataset) => pools.has(/^[^/]*/.exec(dataset.name)?.[0] ?? ''))
    .flatMap((dataset) => [
      [
        dataset.name,
        dataset.type,
        dataset.origin ?? '-',
        dataset.type === 'volume' ? '-' : (dataset.properties['refquota'] ?? '0'),
        mountpointOf(state, dataset) ?? '-',
      ].join(' '),
      ...dataset.snapshots.map((snapshot) => `${dataset.name}@${snapshot.name} snapshot - - -`),
    ]);
}

function configText(host: Host, vmid: string): string | null {
  const path = host.clusterPath('nodes', 'pve1', 'lxc', `${vmid}.conf`);
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

/** What is not there is made, what should not be there goes, quotas and mountpoints are set. */
async function bring(host: Host, step: ZfsStep): Promise<void> {
  const lines = step.effects.zfs_before ?? [];
  const rows = lines.map(rowOf);
  await dropOthers(host, lines);
  for (let round = 0; round < 3; round++) for (const row of rows) await ensure(host, row);
  for (const [vmid, text] of Object.entries(step.effects.conf_before ?? {})) {
    const path = host.clusterPath('nodes', 'pve1', 'lxc', `${vmid}.conf`);
    if (text === null) rmSync(path, { force: true });
    else writeFileSync(path, text);
  }
  syncCluster(host);
}

async function dropOthers(host: Host, lines: readonly string[]): Promise<void> {
  const pools = poolsIn(lines);
  const wanted = new Set(lines.map((line) => rowOf(line).name));
  for (const name of pools)
    if (!readPools(host).pools.some((pool) => pool.name === name)) createPool(host, { name, sizeBytes: 4 * GIB });
  for (const name of datasetRows(host, pools).reverse().map(rowName))
    if (!wanted.has(name) && /[/@]/.test(name)) await runHere(host, ['zfs', 'destroy', '-R', name]);
}

/** Names may hold spaces; the four columns after it do not. */
function rowName(line: string): string {
  return line.split(' ').slice(0, -4).join(' ');
}

async function ensure(host: Host, row: Row): Promise<void> {
  const state = readPools(host);
  const [name = '', tag] = row.name.split('@');
  const dataset = state.datasets.find((entry) => entry.name === name);
  if (tag !== undefined) {
    const isMissing = dataset !== undefined && !dataset.snapshots.some((entry) => entry.name === tag);
    if (isMissing) await runHere(host, ['zfs', 'snapshot', row.name]);
  } else if (dataset === undefined) await runHere(host, ['zfs', ...creation(row)]);
  else if (row.type !== 'volume') {
    const quota = row.refquota === '0' ? 'none' : row.refquota;
    if ((dataset.properties['refquota'] ?? '0') !== row.refquota)
      await runHere(host, ['zfs', 'set', `refquota=${quota}`, row.name]);
    if (mountpointOf(state, dataset) !== row.mountpoint)
      await runHere(host, ['zfs', 'set', `mountpoint=${row.mountpoint}`, row.name]);
  }
}

function creation(row: Row): string[] {
  if (row.origin !== '-') return ['clone', row.origin, row.name];
  return row.type === 'volume' ? ['create', '-s', '-V', '16M', row.name] : ['create', row.name];
}

/** For steps in any order: whole files are replayed once, at the first question. */
export function zfsReplayer(steps: readonly ZfsStep[]): (step: ZfsStep) => Promise<readonly string[] | undefined> {
  const files = new Map<string, Promise<Map<string, readonly string[] | undefined>>>();
  const fileOf = (step: ZfsStep): string => step.file;
  return async (step) => {
    const file = fileOf(step);
    const replay = files.get(file) ?? byId(steps.filter((other) => fileOf(other) === file));
    files.set(file, replay);
    return (await replay).get(step.id);
  };
}

async function byId(steps: readonly ZfsStep[]): Promise<Map<string, readonly string[] | undefined>> {
  return new Map((await replayZfsCategory(steps)).map(({ id, differences }) => [id, differences]));
}
