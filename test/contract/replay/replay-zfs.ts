/**
 * Steps of `samples/recorded-zfs`. The recording tells of each dataset only name, type, origin, refquota, size and
 * mountpoint, so one host lives through each chain of categories that were recorded one after the other on one pool, and
 * is brought to the recorded state before each step; what earlier steps set beside that stays.
 */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHost } from '../../../packages/sim/src/fleet/new-host.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import { createPool } from '../../../packages/sim/src/pool/pools.ts';
import { TOOLS } from '../../../packages/sim/src/tool/all-tools.ts';
import { HostShell } from './host-shell.ts';
import { makeTemplates } from './lab-files.ts';
import { type Ran, runHere } from './made-outcome.ts';
import { makeZfsLabImage } from './oci-images.ts';
import { masked } from './outcome.ts';
import type { ZfsStep } from './recorded-step.ts';
import type { Replayed } from './replay.ts';
import { isNear, marked } from './zfs-compare.ts';
import { seed } from './zfs-seeds.ts';
import { bring, poolsIn, rowOf, rowsOf } from './zfs-state.ts';

const GIB = 1024 ** 3;
const STORAGE =
  'dir: local\n\tpath /var/lib/vz\n\tcontent rootdir,vztmpl,iso,snippets,images\n\nzfspool: local-zfs\n\tpool rpool/data\n\tcontent rootdir,images\n\tsparse 1\n';

/** Categories of one pool, in the order of recording. */
const CHAINS: readonly (readonly string[])[] = [
  ['zfs-create', 'zfs-get', 'zfs-set', 'zfs-list', 'zfs-mount'],
  ['zfs-snapshot', 'zfs-hold', 'zfs-clone', 'zfs-rollback', 'zfs-destroy', 'zfs-rename'],
  ['zfs-send', 'zfs-quota'],
];
/** From these numbers on, a category was recorded later, on a pool of its own. */
const LATER: Readonly<Record<string, number>> = {
  'zfs-create': 52,
  'zfs-hold': 22,
  'zfs-set': 32,
  'zfs-destroy': 25,
};
/** And then some more with 300 objects. */
const WITH_MANY: Readonly<Record<string, number>> = { 'zfs-list': 29, 'zfs-destroy': 27 };

function chainOf(step: ZfsStep): string {
  const [, category = '', number = ''] = /^(.*)-(\d+)$/.exec(step.id) ?? [];
  if (Number(number) >= (WITH_MANY[category] ?? Number.POSITIVE_INFINITY)) return 'many';
  if (Number(number) >= (LATER[category] ?? Number.POSITIVE_INFINITY)) return 'later';
  return CHAINS.find((chain) => chain.includes(category))?.[0] ?? step.file;
}

function inOrder(steps: readonly ZfsStep[]): ZfsStep[] {
  const order = CHAINS.flat();
  const place = (step: ZfsStep): number => order.indexOf(step.id.replace(/-\d+$/, ''));
  return [...steps].sort((a, b) => place(a) - place(b));
}

interface Lab {
  readonly host: Host;
  /** For command lines that are no tool of the stand-in; none: this machine cannot run them. */
  readonly shell: HostShell | undefined;
}

type Differences = readonly string[] | undefined;

/** Replays a chain in order; undefined: the step needs a shell, which this machine cannot give. */
async function replayChain(steps: readonly ZfsStep[], bundle: string | undefined): Promise<Map<string, Differences>> {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-replay-zfs-'));
  const host = createHost(join(folder, 'pve1'), {
    name: 'pve1',
    cores: 2,
    memoryBytes: 8 * GIB,
    zfsVersion: 'zfs-2.3.9-0+deb13u1',
  });
  copyFileSync(makeTemplates(folder).archive, host.path('/var/lib/vz/template/cache/busybox-1.35_amd64.tar.gz'));
  await makeZfsLabImage(host.path('/var/lib/vz/template/cache'));
  writeFileSync(host.clusterPath('storage.cfg'), STORAGE);
  createPool(host, { name: 'rpool', sizeBytes: 1920 * 1024 ** 2 });
  await runHere(host, ['zfs', 'create', 'rpool/data']);
  const shell = bundle === undefined ? undefined : new HostShell(host, folder, bundle);
  const done = new Map<string, Differences>();
  try {
    for (const step of inOrder(steps)) done.set(step.id, await replayStep({ host, shell }, step));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return done;
}

async function replayStep(lab: Lab, step: ZfsStep): Promise<Differences> {
  const { host, shell } = lab;
  await bring(host, shell, step);
  await seed(host, step);
  const tasksBefore = new Set(tasksOf(host).keys());
  const ran = await run(lab, step);
  if (ran === undefined) return undefined;
  const found: string[] = [];
  const compare = (what: string, want: unknown, got: unknown): void => {
    const [recorded, made] = [want, got].map((value) => JSON.stringify(value));
    if (recorded !== made) found.push(`${what}: recorded ${recorded}\n      made     ${made}`);
  };
  compare('exit', step.exit, ran.exit);
  for (const stream of ['stdout', 'stderr'] as const) {
    const [wanted = '', made = ''] = [step[stream], ran[stream]].map((text) => marked(text, step.argv));
    if (!isNear(wanted, made)) compare(stream, wanted, made);
  }
  compareEffects(host, step, { tasksBefore, compare });
  return found;
}

async function run({ host, shell }: Lab, step: ZfsStep): Promise<Ran | undefined> {
  return isOfTool(step)
    ? runHere(host, step.argv, { stdin: step.stdin, uid: step.run_as_uid })
    : shell?.run(step.argv, step.stdin);
}

function compareEffects(
  host: Host,
  { effects }: ZfsStep,
  at: { tasksBefore: ReadonlySet<string>; compare: (what: string, want: unknown, got: unknown) => void },
): void {
  const after = effects.zfs_after ?? effects.zfs_before;
  if (after != null) at.compare('datasets', after.map(stateRow).sort(), madeRows(host, after).sort());
  for (const [vmid, want] of Object.entries(effects.conf_after ?? {}))
    at.compare(`config ${vmid}`, want === null ? null : masked(want), maskedOrNull(configText(host, vmid)));
  if (effects.tasks === undefined) return;
  const made = [...tasksOf(host)].filter(([upid]) => !at.tasksBefore.has(upid));
  at.compare(
    'tasks',
    effects.tasks.map((task) => taskText(task.upid, task.log)).sort(),
    made.map(([upid, log]) => taskText(upid, log)).sort(),
  );
}

function stateRow(line: string): string {
  const { name, type, origin, refquota, mountpoint } = rowOf(line);
  return [name, type, origin, refquota, mountpoint].join(' ');
}

function madeRows(host: Host, like: readonly string[]): string[] {
  return rowsOf(host, poolsIn(like)).map(({ name, type, origin, refquota, mountpoint }) =>
    [name, type, origin, refquota, mountpoint].join(' '),
  );
}

function configText(host: Host, vmid: string): string | null {
  const path = host.clusterPath('nodes', 'pve1', 'lxc', `${vmid}.conf`);
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

function maskedOrNull(text: string | null): string | null {
  return text === null ? null : masked(text);
}

function tasksOf(host: Host): Map<string, string> {
  const folder = host.path('/var/log/pve/tasks');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.name.startsWith('UPID:'),
  );
  return new Map(files.map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'utf8')]));
}

function taskText(upid: string, log: string): string {
  return masked(`${upid} ${log}`);
}

/** Can it be run without a shell and the machine's programs? */
export function isOfTool(step: ZfsStep): boolean {
  return Object.hasOwn(TOOLS, step.argv[0] ?? '');
}

/** All chains side by side. */
export async function replayZfs(steps: readonly ZfsStep[], bundle: string | undefined): Promise<Replayed[]> {
  const chains = new Map<string, ZfsStep[]>();
  for (const step of steps) chains.set(chainOf(step), [...(chains.get(chainOf(step)) ?? []), step]);
  const done = await Promise.all([...chains.values()].map((chain) => replayChain(chain, bundle)));
  return done.flatMap((chain) => [...chain].map(([id, differences]) => ({ id, differences })));
}
