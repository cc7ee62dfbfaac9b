/** `zfs` of the stand-in: argument forms, output and statuses of openzfs/zfs cmd/zfs/zfs_main.c (2.3); the work is in pool/. */
import type { Host } from '../host.ts';
import { sizeBytes } from '../pool/properties.ts';
import { renameDataset } from '../pool/rename.ts';
import {
  hold,
  inheritProperty,
  mountDataset,
  mounted,
  release,
  setProperties,
  unmountDataset,
} from '../pool/settings.ts';
import { cloneSnapshot, rollback, takeSnapshots } from '../pool/snapshot-verbs.ts';
import { findSnapshot, readPools, subtree } from '../pool/state.ts';
import {
  createDataset,
  destroyDataset,
  destroyPlan,
  destroySnapshots,
  matchingSnapshots,
  type Pairs,
} from '../pool/verbs.ts';
import { type Tool, ToolError, type ToolIo } from '../tool.ts';
import { type Getopt, GetoptError, getopt, has, last } from './getopt.ts';
import { zfsGet, zfsList } from './zfs-read.ts';

interface Command {
  readonly letters: string;
  readonly usage: string;
  readonly long?: Readonly<Record<string, string>>;
  readonly run: (host: Host, call: Getopt, io: ToolIo) => Promise<void> | void;
}

export const ZFS_VERSION = 'zfs-2.3.4-pve1';

const COMMANDS: Readonly<Record<string, Command>> = {
  list: {
    letters: 'Hpjrd:o:s:S:t:',
    long: { 'json-int': 'J' },
    usage:
      'list [-Hp] [-j [--json-int]] [-r|-d max] [-o property[,...]] [-s property]...\n\t    [-S property]... [-t type[,...]] [filesystem|volume|snapshot] ...',
    run: zfsList,
  },
  get: {
    letters: 'rHpjd:o:t:s:',
    long: { 'json-int': 'J' },
    usage:
      'get [-rHp] [-j [--json-int]] [-d max] [-o "all" | field[,...]]\n\t    [-t type[,...]] [-s source[,...]]\n\t    <"all" | property[,...]> [filesystem|volume|snapshot|bookmark] ...',
    run: zfsGet,
  },
  create: {
    letters: 'Pnpuvsb:V:o:',
    usage:
      'create [-Pnpuv] [-o property=value] ... <filesystem>\n\tcreate [-Pnpsv] [-b blocksize] [-o property=value] ... -V <size> <volume>',
    run: create,
  },
  destroy: {
    letters: 'rRfdnpv',
    usage:
      'destroy [-fnpRrv] <filesystem|volume>\n\tdestroy [-dnpRrv] <filesystem|volume>@<snap>[%<snap>][,...]\n\tdestroy <filesystem|volume>#<bookmark>',
    run: destroy,
  },
  set: { letters: 'u', usage: 'set [-u] <property=value> ... <filesystem|volume|snapshot> ...', run: set },
  inherit: { letters: 'rS', usage: 'inherit [-rS] <property> <filesystem|volume|snapshot> ...', run: inherit },
  snapshot: {
    letters: 'ro:',
    usage: 'snapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ...',
    run: snapshot,
  },
  rollback: {
    letters: 'rRf',
    usage: 'rollback [-rRf] <snapshot>',
    run: (host, call) =>
      rollback(host, operand(call, 0), { destroyNewer: has(call, 'r') || has(call, 'R'), withClones: has(call, 'R') }),
  },
  clone: { letters: 'po:', usage: 'clone [-p] [-o property=value] ... <snapshot> <filesystem|volume>', run: clone },
  rename: {
    letters: 'pruf',
    usage:
      'rename [-f] <filesystem|volume|snapshot> <filesystem|volume|snapshot>\n\trename -p [-f] <filesystem|volume> <filesystem|volume>\n\trename -u [-f] <filesystem> <filesystem>\n\trename -r <snapshot> <snapshot>',
    run: (host, call) =>
      renameDataset(
        host,
        { from: operand(call, 0), to: operand(call, 1) },
        { parents: has(call, 'p'), unmounted: has(call, 'u') },
      ),
  },
  hold: {
    letters: 'r',
    usage: 'hold [-r] <tag> <snapshot> ...',
    run: (host, call) => call.operands.slice(1).forEach((name) => hold(host, operand(call, 0), name)),
  },
  release: {
    letters: 'r',
    usage: 'release [-r] <tag> <snapshot> ...',
    run: (host, call) => call.operands.slice(1).forEach((name) => release(host, operand(call, 0), name)),
  },
  holds: { letters: 'rHp', usage: 'holds [-rHp] <snapshot> ...', run: holds },
  mount: { letters: 'afo:', usage: 'mount\n\tmount [-flvO] [-o opts] <-a|-R filesystem|filesystem>', run: mount },
  unmount: {
    letters: 'afu',
    usage: 'unmount [-fu] <-a | filesystem|mountpoint>',
    run: (host, call) => unmountDataset(host, operand(call, 0)),
  },
  version: { letters: 'j', usage: 'version [-j]', run: version },
};

const ALIASES: Readonly<Record<string, string>> = {
  snap: 'snapshot',
  umount: 'unmount',
  rm: 'destroy',
  '--version': 'version',
  '-V': 'version',
};

class UsageError extends Error {}

export const zfs: Tool = async (host, argv, io) => {
  const word = argv[0];
  if (word === undefined) return usageEnd(io, 'missing command', undefined);
  const command = COMMANDS[ALIASES[word] ?? word];
  if (command === undefined) return usageEnd(io, `unrecognized command '${word}'`, undefined);
  try {
    await command.run(host, getopt(argv.slice(1), command.letters, command.long), io);
    return 0;
  } catch (err) {
    if (err instanceof GetoptError || err instanceof UsageError)
      return usageEnd(io, err.message.replace("missing argument for 'V' option", 'missing size argument'), command);
    if (!(err instanceof ToolError)) throw err;
    // A missing file system of a snapshot is answered with the usage text as well.
    if (err.status === 2) return usageEnd(io, err.message.replace(/\n$/, ''), command);
    io.err(err.message);
    return err.status;
  }
};

function usageEnd(io: ToolIo, problem: string, command: Command | undefined): number {
  const forms =
    command === undefined
      ? `usage: zfs command args ...\nwhere 'command' is one of the following:\n\n${Object.values(COMMANDS)
          .map((entry) => `\t${entry.usage}\n`)
          .join('')}`
      : `usage:\n\t${command.usage}\n`;
  io.err(
    `${problem === '' ? '' : `${problem}\n`}${forms}\nFor the property list, run: zfs set|get\n\nFor the delegated permission list, run: zfs allow|unallow\n\nFor further help on a command or topic, run: zfs help [<topic>]\n`,
  );
  return 2;
}

function operand(call: Getopt, index: number): string {
  return (
    call.operands[index] ?? missing(index === 0 ? 'missing source dataset argument' : 'missing target dataset argument')
  );
}

function missing(text: string): never {
  throw new UsageError(text);
}

function pairs(call: Getopt): Pairs {
  return (call.options.get('o') ?? []).map(pairOf);
}

function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  return at > 0 ? [text.slice(0, at), text.slice(at + 1)] : missing("missing '=' for property=value argument");
}

function create(host: Host, call: Getopt, io: ToolIo): void {
  const name =
    call.operands[0] ??
    missing(last(call, 'V') === undefined ? 'missing filesystem argument' : 'missing volume argument');
  const size = last(call, 'V');
  const volumeBytes =
    size === undefined
      ? undefined
      : (sizeBytes(size) ?? missing(`bad volume size '${size}': bad numeric value '${size}'`));
  if (has(call, 'n')) {
    io.out(
      has(call, 'P') || has(call, 'v')
        ? `create\t${name}\n${pairs(call)
            .map(([key, value]) => `property\t${key}\t${value}\n`)
            .join('')}`
        : '',
    );
    return;
  }
  createDataset(host, name, {
    properties: pairs(call),
    parents: has(call, 'p'),
    unmounted: has(call, 'u'),
    ...(volumeBytes === undefined ? {} : { volumeBytes: Math.ceil(volumeBytes / 8192) * 8192 }),
  });
}

function destroy(host: Host, call: Getopt, io: ToolIo): void {
  const name = call.operands[0] ?? missing('missing dataset argument');
  const options = { recursive: has(call, 'r') || has(call, 'R'), withClones: has(call, 'R') };
  if (has(call, 'n') || has(call, 'v')) {
    const state = readPools(host);
    const plan = name.includes('@') ? matchingSnapshots(state, name) : destroyPlan(state, name, options);
    if (has(call, 'v')) io.out(destroyText(call, plan, name.includes('@')));
    if (has(call, 'n')) return;
  }
  if (!name.includes('@')) destroyDataset(host, name, options);
  else
    for (const target of snapshotTargets(host, name, options.recursive))
      destroySnapshots(host, target, { defer: has(call, 'd') });
}

function destroyText(call: Getopt, plan: readonly string[], isOfSnapshots: boolean): string {
  const verb = has(call, 'p') ? 'destroy\t' : has(call, 'n') ? 'would destroy ' : 'will destroy ';
  const reclaim = has(call, 'p') ? 'reclaim\t0\n' : 'would reclaim 0B\n';
  return `${plan.map((entry) => `${verb}${entry}\n`).join('')}${isOfSnapshots ? reclaim : ''}`;
}

/** The argument itself, or with -r the same snapshot of every dataset below that has it. */
function snapshotTargets(host: Host, name: string, recursive: boolean): string[] {
  if (!recursive) return [name];
  const state = readPools(host);
  const [of = '', tags = ''] = name.split('@');
  const below = subtree(state, of).map((dataset) => `${dataset.name}@${tags}`);
  const found = below.filter((full) => findSnapshot(state, full) !== undefined);
  return found.length === 0 ? [name] : found;
}

/** Several datasets are set one by one: a missing one is reported, the others are changed all the same. */
function set(host: Host, call: Getopt): void {
  const settings = call.operands.filter((word) => word.includes('='));
  const names = call.operands.slice(settings.length);
  if (settings.length === 0) missing('missing property=value argument(s)');
  if (names.length === 0) missing('missing dataset name(s)');
  eachOf(names, (name) => setProperties(host, name, settings.map(pairOf)));
}

function inherit(host: Host, call: Getopt): void {
  const property = call.operands[0] ?? missing('missing property argument');
  if (call.operands.length < 2) missing('missing dataset argument');
  eachOf(call.operands.slice(1), (name) => inheritProperty(host, property, name));
}

/** Goes on after a failure; all texts together, with the last status. */
function eachOf(names: readonly string[], work: (name: string) => void): void {
  const failures: ToolError[] = [];
  for (const name of names) {
    try {
      work(name);
    } catch (err) {
      if (!(err instanceof ToolError)) throw err;
      failures.push(err);
    }
  }
  if (failures.length > 0)
    throw new ToolError(failures.map((err) => err.message).join(''), failures.at(-1)?.status ?? 1);
}

async function snapshot(host: Host, call: Getopt): Promise<void> {
  if (call.operands.length === 0) missing('missing snapshot argument');
  if (call.operands.some((name) => !name.includes('@'))) missing('');
  await takeSnapshots(host, call.operands, { recursive: has(call, 'r'), properties: pairs(call) });
}

async function clone(host: Host, call: Getopt): Promise<void> {
  await cloneSnapshot(
    host,
    { from: operand(call, 0), to: operand(call, 1) },
    { properties: pairs(call), parents: has(call, 'p') },
  );
}

function holds(host: Host, call: Getopt, io: ToolIo): void {
  const state = readPools(host);
  const rows = call.operands.flatMap((name) =>
    (findSnapshot(state, name)?.snapshot.holds ?? []).map((tag) => `${name}\t${tag}\t0\n`),
  );
  io.out(rows.join(''));
}

function mount(host: Host, call: Getopt, io: ToolIo): void {
  const name = call.operands[0];
  if (name === undefined) {
    if (!has(call, 'a'))
      io.out(
        mounted(host)
          .map((entry) => `${entry.name.padEnd(30)}  ${entry.path}\n`)
          .join(''),
      );
    return;
  }
  mountDataset(host, name);
}

function version(_host: Host, call: Getopt, io: ToolIo): void {
  const kernel = ZFS_VERSION.replace('zfs-', 'zfs-kmod-');
  io.out(
    has(call, 'j')
      ? `${JSON.stringify({ output_version: { command: 'zfs version', vers_major: 0, vers_minor: 1 }, zfs_version: { userland: ZFS_VERSION, kernel } })}\n`
      : `${ZFS_VERSION}\n${kernel}\n`,
  );
}
