import { hasControlCharacters } from '@pxmgr/contract';
import type { EnvironmentVariable } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, RunningCommand } from '@pxmgr/kit/exec/command';
import { processIds, processWords, signalProcess } from '@pxmgr/kit/exec/process-table';
import { endOrphans, NOTHING_TO_UNDO } from '../operation/orphans.ts';
import { ENV_NAME } from './env-merge.ts';
import type { ExecRecord } from './exec-records.ts';
import type { GuestParts } from './parts.ts';

/**
 * A command inside a running container, through lxc-attach: it starts in a thirtieth of the time of `pct exec`, which
 * is a Perl front end for it, and keeps seccomp and cgroup of the guest, which nsenter does not.
 */
export interface ExecRequest {
  readonly vmid: number;
  readonly argv: readonly string[];
  readonly env: readonly EnvironmentVariable[];
  /** 0 = a day. */
  readonly timeoutSeconds: number;
  /** Marks every process it starts, to find them when the call is cancelled: 32 hexadecimal digits. */
  readonly marker: string;
  /** Who asked for it. */
  readonly actor: string;
}

const GUEST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DEFAULT_SECONDS = 86_400;
const MARKER = 'PXMGR_OP';
/** What a program inside gets between TERM and KILL. */
const KILL_AFTER_MS = 10_000;
const LOOK_MS = 250;

/** Errors: PXM_INPUT_INVALID, PXM_GUEST_NOT_FOUND, PXM_GUEST_NOT_RUNNING. */
export function execCommand(parts: GuestParts, request: ExecRequest): Command {
  checkExec(request);
  parts.files.require(request.vmid, '');
  if (!parts.runState.isRunning(request.vmid)) {
    throw new PxmError('PXM_GUEST_NOT_RUNNING', { vmid: String(request.vmid), node: parts.files.node });
  }
  const variables = new Map([
    ['PATH', GUEST_PATH],
    ...request.env.map(({ name, value }) => [name, value] as const),
    [MARKER, request.marker],
  ]);
  const seconds = request.timeoutSeconds === 0 ? DEFAULT_SECONDS : request.timeoutSeconds;
  return {
    file: 'lxc-attach',
    args: [
      ...['-n', String(request.vmid), '--clear-env'],
      ...[...variables].flatMap(([name, value]) => ['--set-var', `${name}=${value}`]),
      '--',
      ...request.argv,
    ],
    purpose: `run ${request.argv[0] ?? ''} in container ${request.vmid}`,
    timeoutMs: seconds * 1000,
    killGraceMs: 1000,
    // Values given to a program may be secrets: they are shown nowhere.
    secrets: request.env.map(({ value }) => value).filter((value) => value !== ''),
  };
}

function checkExec(request: ExecRequest): void {
  const problems = [
    ...(request.argv.length === 0 || request.argv[0] === '' ? ['argv: a program is needed'] : []),
    ...(request.argv.some((word) => word.includes('\0')) ? ['argv: an argument holds a NUL'] : []),
    ...request.env.filter(({ name }) => !ENV_NAME.test(name)).map(({ name }) => `env "${name}" is not a name`),
    ...request.env
      .filter(({ value }) => hasControlCharacters(value))
      .map(({ name }) => `env ${name} holds control characters`),
  ];
  if (problems.length > 0)
    throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}

/** Starts it; stopping the client alone would leave the program inside running, so `stop` finds and ends that too. */
export function startExec(parts: GuestParts, request: ExecRequest): RunningCommand & { stop(): Promise<void> } {
  const { marker, vmid, actor, argv } = request;
  const command = execCommand(parts, request);
  parts.execs.begin({ marker, vmid, actor, program: argv[0] ?? '' });
  const running = parts.runner.start(command, { operationId: marker });
  let isStopping = false;
  const stop = async (): Promise<void> => {
    isStopping = true;
    running.terminate();
    await endMarked(parts, marker);
  };
  void running.done.then(({ timedOut }) => {
    if (!isStopping && !timedOut) parts.execs.end(marker);
  });
  return Object.assign(running, { stop });
}

/** Ends what an earlier agent was killed over: its caller is gone, and nobody would ever hear of its end. */
export async function endLeftExec(parts: GuestParts, { marker }: ExecRecord, signal: AbortSignal): Promise<void> {
  await endOrphans(marker, { clock: parts.clock, patience: NOTHING_TO_UNDO, signal });
  await endMarked(parts, marker, signal);
}

/** Everything inside that a command has started. */
async function endMarked({ clock, execs }: GuestParts, marker: string, signal?: AbortSignal): Promise<void> {
  signalMarked(marker, 'SIGTERM');
  const asked = clock.monotonicMs();
  while (isMarked(marker) && clock.monotonicMs() - asked < KILL_AFTER_MS) await clock.sleep(LOOK_MS, signal);
  signalMarked(marker, 'SIGKILL');
  execs.end(marker);
}

/** 0-255; 128 + signal number when the client was ended by a signal. */
export function exitStatus(result: { exitCode: number | null; signal: string | null }): number {
  if (result.exitCode !== null) return result.exitCode;
  return 128 + (SIGNAL_NUMBERS[result.signal ?? ''] ?? 9);
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/**
 * Processes whose environment carries the marker; their client, which is not inside, has it in argv only. Always this
 * machine's own /proc: what runs in a guest of a stand-in host is an ordinary process too.
 */
function marked(marker: string): number[] {
  return processIds().filter((pid) => processWords(pid, 'environ').includes(`${MARKER}=${marker}`));
}

function isMarked(marker: string): boolean {
  return marked(marker).length > 0;
}

function signalMarked(marker: string, signal: 'SIGTERM' | 'SIGKILL'): void {
  for (const pid of marked(marker)) signalProcess(pid, signal);
}
