/** A step run against a stand-in host, and the outcome in the form of a recording. */
import type { Host } from '../../../packages/sim/src/host.ts';
import { TOOLS } from '../../../packages/sim/src/tool/all-tools.ts';
import type { HostState } from './host-state.ts';
import { masked, maskedOutput, type Outcome } from './outcome.ts';
import { taskLine } from './recorded-outcome.ts';

let nextPid = 7_000_000;

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Caller {
  readonly stdin?: string | undefined;
  readonly uid?: number | undefined;
}

export async function runHere(host: Host, argv: readonly string[], { stdin, uid }: Caller = {}): Promise<Ran> {
  const load = TOOLS[argv[0] ?? ''];
  if (load === undefined) throw new Error(`no tool ${argv[0] ?? ''}`);
  nextPid += 1;
  let stdout = '';
  let stderr = '';
  const exit = await (await load())(host, argv.slice(1), {
    stdin: (async function* () {
      if (stdin !== undefined) yield Buffer.from(stdin);
    })(),
    out: (data) => void (stdout += Buffer.from(data).toString()),
    err: (data) => void (stderr += Buffer.from(data).toString()),
    signal: new AbortController().signal,
    env: {},
    worker: { pid: nextPid, startTicks: nextPid },
    ...(uid === undefined ? {} : { uid }),
  });
  return { exit, stdout, stderr };
}

export function outcomeOf(ran: Ran, change: { before: HostState; after: HostState; node: string }): Outcome {
  const { before, after, node } = change;
  return {
    exit: ran.exit,
    stdout: maskedOutput(ran.stdout),
    stderr: masked(ran.stderr),
    configs: configsOf(before, after),
    counters: countersOf(before, after, node),
    tasks: [...after.tasks]
      .filter(([upid]) => !before.tasks.has(upid))
      .map(([upid, log]) => masked(`${upid} ${log}`))
      .sort(),
    taskLines: after.lines
      .filter((line) => !before.lines.includes(line))
      .map((line) => taskLine(line.replace(/^(?:active|index) /, '')))
      .sort(),
    clusterLog: after.log
      .filter((line) => !before.log.includes(line))
      .map((line) => masked(line.replace(/^\d+ /, '')))
      .sort(),
    store: storeOf(before, after),
    running:
      JSON.stringify(before.running) === JSON.stringify(after.running)
        ? []
        : [JSON.stringify([before.running, after.running])],
  };
}

function configsOf(before: HostState, after: HostState): string[] {
  const changed = [...after.configs].filter(([path, text]) => before.configs.get(path) !== text);
  const gone = [...before.configs.keys()].filter((path) => !after.configs.has(path));
  return [...changed.map(([path, text]) => masked(`${path}: ${text}`)), ...gone.map((path) => `${path}: gone`)].sort();
}

function countersOf(before: HostState, after: HostState, node: string): string[] {
  const found: string[] = [];
  for (const [key, to] of Object.entries(after.version)) {
    const from = before.version[key] ?? 1;
    if (from === to || (key.startsWith('kvstore.') && key !== `kvstore.${node}.tasklist`)) continue;
    found.push(key.startsWith('kvstore.') ? key : `${key} +${to - from}`);
  }
  return found.sort();
}

function storeOf(before: HostState, after: HostState): string[] {
  const found: string[] = [];
  for (const [path, size] of after.store) {
    if (!before.store.has(path)) found.push(`+${path} ${size ?? ''}`.trimEnd());
    else if (before.store.get(path) !== size) found.push(`~${path} ${size ?? ''}`);
  }
  for (const path of before.store.keys()) if (!after.store.has(path)) found.push(`-${path}`);
  return found.sort();
}
