/**
 * The in-process door: kit's subprocess interface over the tools as functions, one runner per host, so that hundreds of
 * hosts fit into one process. Programs that are no tools of the stand-in (flock, skopeo, tar) go to the fallback.
 * A call has a process id of its own, above those of the machine; time limits, cancelling and output limits behave as
 * they do for real processes.
 */

import { basename } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import {
  type Command,
  type CommandResult,
  maskedArgv,
  type Runner,
  type RunningCommand,
  type RunOptions,
} from '@pxmgr/kit/exec/command';
import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { TOOLS } from '../tool/all-tools.ts';

const FIRST_PID = 4_200_000;
const DEFAULT_OUTPUT_BYTES = 1024 * 1024;
let nextPid = FIRST_PID;

export interface InProcessOptions {
  /** Runs everything that is no tool of the stand-in. */
  readonly fallback: Runner;
}

export function createInProcessRunner(host: Host, options: InProcessOptions): Runner {
  const isTool = (command: Command): boolean =>
    Object.hasOwn(TOOLS, basename(command.file)) &&
    (command.file === basename(command.file) || command.file.startsWith(host.path('/bin/')));
  return {
    run(command, runOptions = {}) {
      if (!isTool(command)) return options.fallback.run(command, runOptions);
      const call = new Call(host, command, runOptions);
      call.stdin.end(command.stdin ?? '');
      return call.done;
    },
    start(command, runOptions = {}) {
      if (!isTool(command)) return options.fallback.start(command, runOptions);
      const call = new Call(host, command, runOptions);
      if (command.stdin !== undefined) call.stdin.write(command.stdin);
      return call;
    },
  };
}

type Ending = Pick<CommandResult, 'exitCode' | 'signal'>;

class Call implements RunningCommand {
  readonly pid: number;
  readonly stdin = new PassThrough();
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly done: Promise<CommandResult>;
  readonly #command: Command;
  readonly #options: RunOptions;
  readonly #stop = new AbortController();
  readonly #death = new AbortController();
  readonly #out: Sink;
  readonly #err: Sink;
  #timedOut = false;
  #cancelled = false;

  constructor(host: Host, command: Command, options: RunOptions) {
    nextPid += 1;
    this.pid = nextPid;
    this.#command = command;
    this.#options = options;
    const limit = command.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES;
    this.#out = new Sink(limit, (line) => options.onLine?.('out', line));
    this.#err = new Sink(limit, (line) => options.onLine?.('err', line));
    this.stdout = this.#out.stream;
    this.stderr = this.#err.stream;
    options.onStart?.(command, this.pid);
    this.done = this.#execute(host);
  }

  terminate(): void {
    this.#cancelled = true;
    this.#stop.abort();
  }

  async #execute(host: Host): Promise<CommandResult> {
    const began = performance.now();
    const timer = setTimeout(() => {
      this.#timedOut = true;
      this.#stop.abort();
    }, this.#command.timeoutMs);
    const cancel = (): void => this.terminate();
    this.#options.signal?.addEventListener('abort', cancel);
    if (this.#options.signal?.aborted === true) cancel();
    const ending = await Promise.race([this.#run(host), this.#killed(), this.#died()]);
    clearTimeout(timer);
    this.#options.signal?.removeEventListener('abort', cancel);
    return this.#finish(ending, performance.now() - began);
  }

  async #run(host: Host): Promise<Ending> {
    const load = TOOLS[basename(this.#command.file)];
    const tool = await load?.();
    const exitCode = (await tool?.(host, this.#command.args, this.#io())) ?? 127;
    return { exitCode, signal: null };
  }

  #io(): ToolIo {
    return {
      stdin: this.stdin,
      out: (data) => this.#out.write(data),
      err: (data) => this.#err.write(data),
      signal: this.#stop.signal,
      env: this.#command.env ?? {},
      worker: { pid: this.pid, startTicks: Math.floor(performance.now() / 10) + this.pid },
      death: { signal: this.#death.signal, die: () => this.#death.abort() },
    };
  }

  /** SIGKILL after the grace time: the tool is left where it stands, its locks are let go. */
  #killed(): Promise<Ending> {
    return new Promise((resolve) => {
      this.#stop.signal.addEventListener('abort', () => {
        const ladder = setTimeout(() => {
          this.#death.abort();
          resolve({ exitCode: null, signal: 'SIGKILL' });
        }, this.#command.killGraceMs ?? 15_000);
        void Promise.resolve(this.done).finally(() => clearTimeout(ladder));
      });
    });
  }

  #died(): Promise<Ending> {
    return new Promise((resolve) => {
      this.#death.signal.addEventListener('abort', () => resolve({ exitCode: null, signal: 'SIGKILL' }));
    });
  }

  #finish(ending: Ending, ms: number): CommandResult {
    const stdout = this.#out.end();
    const stderr = this.#err.end();
    const result: CommandResult = {
      command: this.#command,
      argv: maskedArgv(this.#command),
      ...ending,
      stdout,
      stderr,
      truncated: this.#out.isCut || this.#err.isCut,
      ms: Math.round(ms),
      timedOut: this.#timedOut,
      cancelled: this.#cancelled,
    };
    this.#options.onEnd?.(result);
    return result;
  }
}

/** One output stream: kept up to the limit, handed on as a stream and line by line. */
class Sink {
  readonly stream = new PassThrough({ highWaterMark: 1 << 24 });
  readonly #limit: number;
  readonly #onLine: (line: string) => void;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #rest = '';
  isCut = false;

  constructor(limit: number, onLine: (line: string) => void) {
    this.#limit = limit;
    this.#onLine = onLine;
  }

  write(data: string | Uint8Array): void {
    const chunk = Buffer.from(data);
    if (!this.stream.writableEnded) this.stream.write(chunk);
    if (this.#bytes < this.#limit) this.#chunks.push(chunk.subarray(0, this.#limit - this.#bytes));
    this.#bytes += chunk.length;
    this.isCut = this.#bytes > this.#limit;
    const lines = (this.#rest + chunk.toString('utf8')).split(/\r?\n|\r/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }

  end(): string {
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
    this.stream.end();
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
