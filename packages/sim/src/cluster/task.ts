/**
 * Tasks: a UPID, a log file whose last line tells the end, the `active` and `index` files, the counters of the cluster
 * file system (pve-common src/PVE/RESTEnvironment.pm fork_worker and active_workers, run in the foreground as the
 * command-line tools do). The output of a task goes to its log and to the caller's stdout; its error text to stderr.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { formatUpid, parseUpid, taskLogPath, type Upid } from '@pxmgr/contract/upid';
import { currentCall, Died, dieNow, inCall, requireAlive, type Worker } from '../call/call.ts';
import { reach } from '../call/fault.ts';
import { errorText, type ToolIo } from '../call/tool.ts';
import { readText, writeFileAtomicSync } from '../file/sim-file.ts';
import { withSimLock } from '../file/sim-lock.ts';
import type { Host } from '../host/host.ts';
import { bumpTasklist, clusterLog } from './pmxcfs.ts';

export interface TaskSpec {
  /** `vzcreate`, `imgdel`, ... */
  readonly type: string;
  readonly id: string;
  /** Program that started it, for the cluster log. */
  readonly tool: string;
  readonly user?: string;
}

/** Where a task runs and who hears of it. */
export interface TaskPlace {
  readonly host: Host;
  readonly io: ToolIo;
}

/** What the body of a task works with. */
export interface Task {
  readonly upid: string;
  /** Text as it is, line feeds included. */
  readonly log: (text: string) => void;
  /** Counts: a task with warnings ends as `WARNINGS: n` and is a success. */
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface TaskEnd {
  readonly upid: string;
  /** `OK`, `WARNINGS: n`, or the error text. */
  readonly status: string;
  readonly isError: boolean;
}

const FINISHED_KEPT = 25;
const INDEX_BYTES = 50_000;

export async function runTask(
  { host, io }: TaskPlace,
  spec: TaskSpec,
  body: (task: Task) => Promise<void>,
): Promise<TaskEnd> {
  const started = startTask(host, io, spec);
  const { upid, logFile } = started;
  const worker = newWorker();
  let warnings = 0;
  const task: Task = {
    upid,
    log: (text) => {
      requireAlive();
      if (worker.isAlone) dieNow();
      io.out(text);
      appendFileSync(logFile, text);
    },
    warn: (text) => {
      warnings += 1;
      task.log(`WARN: ${text}\n`);
    },
    signal: io.signal,
  };
  let status = 'OK';
  try {
    const work = async (): Promise<void> => {
      await body(task);
      await reach(host, 'before-verdict');
    };
    await Promise.race([runAsWorker(worker, work), worker.lost]);
    if (worker.isAlone) dieNow();
    if (warnings > 0) status = `WARNINGS: ${warnings}`;
  } catch (err) {
    if (err instanceof Died && !worker.death.signal.aborted) throw err;
    // One line feed goes, the others become blanks: a text that ended in two keeps one at its end.
    status = worker.death.signal.aborted ? WORKER_LOST : errorText(err).replaceAll('\n', ' ');
  }
  endTask(host, io, { ...started, spec, status });
  return { upid, status, isError: status !== 'OK' && warningsOf(status) === undefined };
}

/** What the command says when the pipe to its worker breaks off (pve-common src/PVE/RESTEnvironment.pm). */
const WORKER_LOST = 'got unexpected control message:  ';

interface RunningWorker extends Worker {
  /** Rejects when the worker dies alone. */
  readonly lost: Promise<never>;
}

function newWorker(): RunningWorker {
  const death = new AbortController();
  const lost = new Promise<never>((_, reject) => {
    death.signal.addEventListener('abort', () => reject(new Died()));
  });
  lost.catch(() => undefined);
  return { death, isAlone: false, lost };
}

/** The body sees itself as the worker; whoever waits for it goes on as the command. */
function runAsWorker(worker: Worker, body: () => Promise<void>): Promise<void> {
  const call = currentCall();
  return call === undefined ? body() : inCall({ ...call, worker }, body);
}

function userOf(io: ToolIo, spec: TaskSpec): string {
  return spec.user ?? io.daemonUser ?? 'root@pam';
}

interface Started {
  readonly upid: string;
  readonly logFile: string;
  readonly pid: number;
}

function startTask(host: Host, io: ToolIo, spec: TaskSpec): Started {
  const worker = io.worker ?? { pid: process.pid, startTicks: startTicks() };
  const fields: Upid = {
    node: host.name,
    pid: worker.pid,
    pstart: worker.startTicks,
    startTime: Math.floor(Date.now() / 1000),
    type: spec.type,
    id: spec.id,
    user: userOf(io, spec),
  };
  const upid = formatUpid(fields);
  const logFile = host.path(taskLogPath(fields));
  mkdirSync(dirname(logFile), { recursive: true });
  writeFileSync(logFile, '', { mode: 0o640 });
  showProcess(host, io, worker);
  updateActive(host, upid);
  clusterLog(host, { tag: spec.tool, pid: worker.pid, user: fields.user, msg: `starting task ${upid}` });
  io.onTask?.(upid);
  bumpTasklist(host);
  return { upid, logFile, pid: worker.pid };
}

function endTask(host: Host, io: ToolIo, ended: Started & { spec: TaskSpec; status: string }): void {
  const { upid, logFile, spec, status, pid } = ended;
  const warnings = warningsOf(status);
  const isError = status !== 'OK' && warnings === undefined;
  if (status === 'OK') appendFileSync(logFile, 'TASK OK\n');
  else if (warnings !== undefined) {
    io.err(`Task finished with ${warnings} warning(s)!\n`);
    appendFileSync(logFile, `\nTASK WARNINGS: ${warnings}\n`);
  } else {
    io.err(`${status}\n`);
    const gap = status === WORKER_LOST || io.daemonUser !== undefined ? '' : '\n';
    appendFileSync(logFile, `${gap}TASK ERROR: ${status}\n`);
  }
  hideProcess(host.path(`/proc/${pid}`));
  updateActive(host, undefined, upid);
  clusterLog(host, { tag: spec.tool, pid, user: userOf(io, spec), msg: `end task ${upid} ${status}`, isError });
  bumpTasklist(host);
}

function warningsOf(status: string): string | undefined {
  return /^WARNINGS: (\d+)$/.exec(status)?.[1];
}

/** Field 22 of /proc/self/stat: start time in clock ticks since boot. */
function startTicks(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 0);
}

/** How many tasks of this process show themselves by a folder: a task may run inside another. */
const shown = new Map<string, number>();

function hideProcess(folder: string): void {
  const left = (shown.get(folder) ?? 1) - 1;
  if (left > 0) return void shown.set(folder, left);
  shown.delete(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** The worker is visible in the host's /proc while its task runs. */
function showProcess(host: Host, io: ToolIo, worker: { pid: number; startTicks: number }): void {
  const folder = host.path(`/proc/${worker.pid}`);
  shown.set(folder, (shown.get(folder) ?? 0) + 1);
  if (existsSync(folder)) return;
  if (io.worker === undefined) {
    symlinkSync(`/proc/${worker.pid}`, folder);
    return;
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/stat`, `${worker.pid} (task) S ${'0 '.repeat(18)}${worker.startTicks} 0 0\n`);
  io.death?.signal.addEventListener('abort', () => rmSync(folder, { recursive: true, force: true }));
}

interface ActiveLine {
  readonly upid: string;
  readonly isSaved: boolean;
  readonly endHex?: string;
  readonly status?: string;
}

/** Rewrites `active`: running tasks first, then the newest finished ones; every newly finished one goes to `index`. */
function updateActive(host: Host, started: string | undefined, ended?: string): void {
  const file = host.path('/var/log/pve/tasks/active');
  withSimLock(host.simPath('tasks.lock'), () => {
    const lines = (readText(file) ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map(readLine);
    if (started !== undefined) lines.unshift({ upid: started, isSaved: false });
    const running = lines.filter(
      (line) =>
        line.endHex === undefined && line.upid !== ended && (line.upid === started || isRunning(host, line.upid)),
    );
    const finished = lines
      .filter((line) => !running.includes(line))
      .map((line) => (line.endHex === undefined ? finish(host, line) : line));
    const fresh = finished.filter((line) => !line.isSaved);
    if (fresh.length > 0) archive(host, fresh);
    finished.sort((a, b) => (parseUpid(b.upid)?.startTime ?? 0) - (parseUpid(a.upid)?.startTime ?? 0));
    const kept = finished.slice(0, Math.max(FINISHED_KEPT - running.length, 0));
    const text = [
      ...running.map((line) => `${line.upid} 0\n`),
      ...kept.map((line) => `${line.upid} 1 ${line.endHex ?? ''} ${line.status ?? ''}\n`),
    ];
    writeFileAtomicSync(file, text.join(''));
  });
}

function readLine(line: string): ActiveLine {
  const [upid = '', saved, endHex, ...status] = line.split(' ');
  return { upid, isSaved: saved === '1', ...(endHex === undefined ? {} : { endHex, status: status.join(' ') }) };
}

function finish(host: Host, line: ActiveLine): ActiveLine {
  const endHex = Math.floor(Date.now() / 1000)
    .toString(16)
    .toUpperCase()
    .padStart(8, '0');
  return { upid: line.upid, isSaved: false, endHex, status: readStatus(host, line.upid) };
}

/** The end of a task as its log tells it; "unexpected status" when it has none. */
export function readStatus(host: Host, upid: string): string {
  const fields = parseUpid(upid);
  const log = fields === undefined ? undefined : readText(host.path(taskLogPath(fields)));
  const last = log?.replace(/\n+$/, '').split('\n').at(-1) ?? '';
  if (last === 'TASK OK') return 'OK';
  return /^TASK (WARNINGS: \d+)$/.exec(last)?.[1] ?? /^TASK ERROR: (.+)$/.exec(last)?.[1] ?? 'unexpected status';
}

/** The process of that id exists and started when the UPID says. */
export function isRunning(host: Host, upid: string): boolean {
  const fields = parseUpid(upid);
  if (fields === undefined) return false;
  const stat = readText(host.path(`/proc/${fields.pid}/stat`)) ?? '';
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? -1) === fields.pstart;
}

function archive(host: Host, lines: readonly ActiveLine[]): void {
  const index = host.path('/var/log/pve/tasks/index');
  appendFileSync(index, lines.map((line) => `${line.upid} ${line.endHex ?? ''} ${line.status ?? ''}\n`).join(''));
  if (statSync(index).size > INDEX_BYTES) renameSync(index, `${index}.1`);
}

/** UPIDs of running tasks of a type and id, newest first. */
export function runningTasks(host: Host, type: string, id: string): string[] {
  const lines = (readText(host.path('/var/log/pve/tasks/active')) ?? '')
    .split('\n')
    .filter((line) => line.endsWith(' 0'));
  return lines
    .map((line) => line.slice(0, -2))
    .filter((upid) => {
      const fields = parseUpid(upid);
      return fields?.type === type && fields.id === id && isRunning(host, upid);
    });
}
