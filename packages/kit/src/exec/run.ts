import type { ChildProcess } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { execa } from 'execa';
import { type Clock, systemClock } from '../clock.ts';
import { PxmError } from '../error/pxm-error.ts';
import type { Logger } from '../log/logger.ts';
import { maskSecrets, redact, stripControl } from '../log/redact.ts';
import { Capture, readOut } from './capture.ts';
import { checkCommand } from './check-command.ts';
import {
  type Command,
  type CommandResult,
  DEFAULT_KILL_GRACE_MS,
  DEFAULT_MAX_OUTPUT_BYTES,
  maskedArgv,
  OPERATION_VARIABLE,
  PROGRAM_VARIABLE,
  type Runner,
  type RunningCommand,
  type RunOptions,
} from './command.ts';
import { appendCommandRecord, commandRecord } from './command-log.ts';
import { KillLadder } from './kill-ladder.ts';

export interface RunnerOptions {
  /** The only PATH that programs are looked up on and that they inherit. */
  path: string;
  logger: Logger;
  /** JSON-lines file of every command, made with mode 0600. */
  commandLog?: string;
  /** HOME of the children, default /root. */
  home?: string;
  clock?: Clock;
  /** Seen after every command; the place for metrics. */
  onResult?: (result: CommandResult) => void;
}

/** A process that does not even go after SIGKILL hangs in the kernel (dead storage); we stop waiting after this. */
const STUCK_AFTER_KILL_MS = 10_000;

/** The real door: execa with a fixed PATH, a clean C-locale environment, argv only. See `Runner` for the contract. */
export function createRunner(options: RunnerOptions): Runner {
  return {
    async run(command, runOptions = {}) {
      checkCommand(command);
      if (runOptions.signal?.aborted) return cancelledBeforeStart(command);
      const execution = new Execution(options, command, {
        ...runOptions,
        stdin: command.stdin === undefined ? 'ignore' : 'pipe',
      });
      if (command.stdin !== undefined) execution.stdin.end(command.stdin);
      return await execution.done;
    },
    start(command, runOptions = {}) {
      checkCommand(command);
      const execution = new Execution(options, command, { ...runOptions, stdin: 'pipe' });
      if (command.stdin !== undefined) execution.stdin.write(command.stdin);
      return execution;
    },
  };
}

function cancelledBeforeStart(command: Command): CommandResult {
  return {
    command,
    argv: maskedArgv(command),
    exitCode: null,
    signal: null,
    stdout: '',
    stderr: '',
    truncated: false,
    ms: 0,
    timedOut: false,
    cancelled: true,
  };
}

interface ExecutionOptions extends RunOptions {
  stdin: 'ignore' | 'pipe';
}

interface Ending {
  exitCode: number | null;
  signal: string | null;
}

class Execution implements RunningCommand {
  readonly done: Promise<CommandResult>;
  readonly #settings: RunnerOptions;
  readonly #command: Command;
  readonly #options: RunOptions;
  readonly #clock: Clock;
  readonly #child: Child;
  readonly #ladder: KillLadder;
  readonly #out: Capture;
  readonly #err: Capture;
  #timedOut = false;
  #cancelled = false;
  #hurried = false;
  #onStuck: () => void = () => undefined;

  constructor(settings: RunnerOptions, command: Command, options: ExecutionOptions) {
    this.#settings = settings;
    this.#command = command;
    this.#options = options;
    this.#clock = settings.clock ?? systemClock;
    this.#log('command started', {});
    this.#child = spawn(settings, command, options);
    this.#child.stdin?.on('error', () => undefined);
    this.#ladder = new KillLadder((signal) => {
      this.#kill(signal);
    }, command.killGraceMs ?? DEFAULT_KILL_GRACE_MS);
    const maxBytes = command.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
    this.#out = new Capture(this.#stream('stdout'), maxBytes, this.#lineListener('out'));
    this.#err = new Capture(this.#stream('stderr'), maxBytes, this.#lineListener('err'));
    this.done = this.#follow();
    // A caller that only streams may never look at `done`; a failed start must not end the daemon then.
    this.done.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get stdin(): Writable {
    const { stdin } = this.#child;
    if (stdin === null) throw new Error('this command was started without stdin');
    return stdin;
  }

  get stdout(): Readable {
    return this.#out.tee();
  }

  get stderr(): Readable {
    return this.#err.tee();
  }

  terminate(): void {
    if (this.#ladder.begun) return;
    this.#cancelled = true;
    this.#ladder.climb();
  }

  async #follow(): Promise<CommandResult> {
    const at = this.#clock.now();
    const startedMs = this.#clock.monotonicMs();
    const { signal } = this.#options;
    const onAbort = (): void => {
      this.terminate();
    };
    const deadline = startDeadline(this.#command.timeoutMs, () => {
      this.#hurried = true;
      if (this.#ladder.begun) return;
      this.#timedOut = true;
      this.#ladder.climb();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      if (this.pid !== undefined) this.#options.onStart?.(this.#command, this.pid);
      const ending = await this.#ending();
      this.#onStuck = () => undefined;
      this.#ladder.stop();
      await readOut([this.#out, this.#err], () => this.#hurried || this.#cancelled || this.#timedOut);
      return await this.#report(ending, at, startedMs);
    } finally {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', onAbort);
      this.#ladder.stop();
      this.#out.finish();
      this.#err.finish();
    }
  }

  #ending(): Promise<Ending> {
    return new Promise((resolve, reject) => {
      this.#onStuck = () => {
        this.#settings.logger.error(
          { cmd: maskedArgv(this.#command), pid: this.pid },
          'process does not end after SIGKILL',
        );
        resolve({ exitCode: null, signal: null });
      };
      this.#child.once('exit', (exitCode, signal) => {
        resolve({ exitCode, signal });
      });
      if (this.pid !== undefined) return;
      // Never started: execa's promise tells why.
      this.#child.then(
        (outcome) => {
          reject(startFailure(this.#command, outcome));
        },
        (error: unknown) => {
          reject(startFailure(this.#command, error));
        },
      );
    });
  }

  async #report(ending: Ending, at: Date, startedMs: number): Promise<CommandResult> {
    this.#out.finish();
    this.#err.finish();
    const result: CommandResult = {
      command: this.#command,
      argv: maskedArgv(this.#command),
      ...ending,
      stdout: this.#out.text(),
      stderr: this.#err.text(),
      truncated: this.#out.truncated || this.#err.truncated,
      ms: this.#clock.monotonicMs() - startedMs,
      timedOut: this.#timedOut,
      cancelled: this.#cancelled,
    };
    const { exitCode: exit, signal, timedOut, cancelled } = result;
    this.#log('command ended', {
      exit,
      ...(signal === null ? {} : { signal }),
      ms: Math.round(result.ms),
      ...(timedOut ? { timedOut } : {}),
      ...(cancelled ? { cancelled } : {}),
    });
    const { commandLog, logger } = this.#settings;
    if (commandLog !== undefined)
      await appendCommandRecord(commandLog, commandRecord(result, at, this.#options.operationId), logger);
    this.#settings.onResult?.(result);
    this.#options.onEnd?.(result);
    return result;
  }

  #kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(signal);
    if (signal === 'SIGKILL') setTimeout(() => this.#onStuck(), STUCK_AFTER_KILL_MS).unref();
  }

  #stream(name: 'stdout' | 'stderr'): Readable {
    return this.#child[name];
  }

  #lineListener(stream: 'out' | 'err'): ((line: string) => void) | undefined {
    const { onLine } = this.#options;
    if (onLine === undefined) return undefined;
    const secrets = this.#command.secrets ?? [];
    return (line) => {
      try {
        onLine(stream, stripControl(redact(maskSecrets(line, secrets))));
      } catch (error) {
        this.#settings.logger.error({ err: error }, 'line listener of a command failed');
      }
    };
  }

  #log(message: string, fields: Record<string, unknown>): void {
    const level = this.#command.readOnly === true ? 'debug' : 'info';
    const { operationId } = this.#options;
    this.#settings.logger[level](
      { cmd: maskedArgv(this.#command), ...(operationId === undefined ? {} : { op: operationId }), ...fields },
      message,
    );
  }
}

/** Infinity is for supervised daemons; a timer of Node.js would fire at once for it. */
function startDeadline(timeoutMs: number, onDue: () => void): NodeJS.Timeout | undefined {
  return timeoutMs < 2 ** 31 ? setTimeout(onDue, timeoutMs) : undefined;
}

/** What we use of execa's subprocess: Node's child with both output pipes, and a promise that never rejects. */
type Child = ChildProcess & { stdin: Writable | null; stdout: Readable; stderr: Readable } & PromiseLike<unknown>;

/** Own session: a Ctrl-C at our terminal is ours to handle, and no tool can ask questions on /dev/tty. */
function spawn(settings: RunnerOptions, command: Command, { stdin, operationId }: ExecutionOptions): Child {
  // execa hands any descriptor number through, though its types name the standard ones only.
  const extra = (command.extraFds ?? []) as readonly 1[];
  const mark =
    operationId === undefined ? {} : { [OPERATION_VARIABLE]: operationId, [PROGRAM_VARIABLE]: basename(command.file) };
  return execa(command.file, command.args, {
    env: {
      LC_ALL: 'C',
      LANG: 'C',
      HOME: settings.home ?? '/root',
      TERM: 'dumb',
      ...command.env,
      ...mark,
      PATH: settings.path,
    },
    extendEnv: false,
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    stdio: [stdin, 'pipe', 'pipe', ...extra],
    buffer: false,
    encoding: 'buffer',
    reject: false,
    stripFinalNewline: false,
    forceKillAfterDelay: false,
    detached: true,
    cleanup: false,
  }) as unknown as Child;
}

function startFailure(command: Command, outcome: unknown): PxmError {
  const code = codeOf(outcome);
  const cause =
    outcome instanceof Error ? outcome : codeOf(outcome) === undefined ? undefined : new Error(String(code));
  const options = cause === undefined ? {} : { cause };
  const fields = { tool: command.file };
  if (code === 'ENOENT') return new PxmError('PXM_COMMAND_NOT_FOUND', fields, options);
  if (code === 'EACCES')
    return new PxmError('PXM_COMMAND_NOT_FOUND', fields, { ...options, detail: 'it is not executable for us' });
  return new PxmError(
    'PXM_COMMAND_FAILED',
    { ...fields, status: ' (it could not be started)' },
    { ...options, detail: code ?? '' },
  );
}

function codeOf(outcome: unknown): string | undefined {
  if (typeof outcome !== 'object' || outcome === null || !('code' in outcome)) return undefined;
  return typeof outcome.code === 'string' ? outcome.code : undefined;
}
