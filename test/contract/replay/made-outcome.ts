/** A step run against a stand-in host, and the outcome in the form of a recording. */
import { createHash } from 'node:crypto';
import type { ToolIo } from '../../../packages/sim/src/call/tool.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
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

/** What the recorded commands had in their environment. */
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8' };

/** `<n bytes>` stands for binary input of that length. */
function inputOf(stdin: string): Buffer {
  const bytes = /^<(\d+) bytes>$/.exec(stdin)?.[1];
  return bytes === undefined ? Buffer.from(stdin) : Buffer.alloc(Number(bytes), 7);
}

export interface Given {
  readonly stdin?: string | undefined;
  readonly uid?: number | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** The call can die while this process lives on, of that signal. */
  readonly diesOf?: number;
  readonly signal?: AbortSignal;
  readonly onText?: (text: string) => void;
}

export async function runHere(host: Host, argv: readonly string[], given: Given = {}): Promise<Ran> {
  const load = TOOLS[argv[0] ?? ''];
  if (load === undefined) throw new Error(`no tool ${argv[0] ?? ''}`);
  const { io, said } = ioOf(given);
  const { death, killed } = given.diesOf === undefined ? {} : mortal(given.diesOf);
  const running = (await load())(host, argv.slice(1), death === undefined ? io : { ...io, death });
  const exit = killed === undefined ? await running : await Promise.race([running, killed]);
  return { exit, stdout: said.stdout, stderr: said.stderr };
}

function mortal(signal: number): { death: NonNullable<ToolIo['death']>; killed: Promise<number> } {
  const dying = new AbortController();
  const killed = new Promise<number>((resolve) => dying.signal.addEventListener('abort', () => resolve(-signal)));
  return { death: { signal: dying.signal, die: () => dying.abort() }, killed };
}

/** What a tool has of the process around it; `said` gathers its output. */
export function ioOf(given: Given): { io: ToolIo; said: { stdout: string; stderr: string } } {
  nextPid += 1;
  const said = { stdout: '', stderr: '' };
  const hear = (stream: 'stdout' | 'stderr', data: string | Uint8Array): void => {
    const text = Buffer.from(data).toString();
    said[stream] += text;
    given.onText?.(text);
  };
  const io: ToolIo = {
    stdin: (async function* () {
      if (given.stdin !== undefined) yield inputOf(given.stdin);
    })(),
    out: (data) => hear('stdout', data),
    err: (data) => hear('stderr', data),
    signal: given.signal ?? new AbortController().signal,
    env: { ...ENVIRONMENT, ...given.env },
    worker: { pid: nextPid, startTicks: nextPid },
    ...(given.uid === undefined ? {} : { uid: given.uid }),
  };
  return { io, said };
}

export interface Change {
  readonly before: HostState;
  readonly after: HostState;
  readonly node: string;
  /** The output is compared by length and digest. */
  readonly isLong?: boolean;
}

/** As recordings keep output that is too long. */
export function summaryOf(output: string): string {
  const bytes = Buffer.from(output);
  return `${bytes.length} bytes ${createHash('sha256').update(bytes).digest('hex')}`;
}

export function outcomeOf(ran: Ran, change: Change): Outcome {
  const { before, after, node, isLong } = change;
  return {
    exit: ran.exit,
    stdout: isLong ? summaryOf(ran.stdout) : maskedOutput(ran.stdout),
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
