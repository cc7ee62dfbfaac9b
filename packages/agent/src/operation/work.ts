import { type HostCommand, OperationState } from '@pxmgr/contract/common';
import { messageOf } from '@pxmgr/kit/error/chain';
import { type Command, type CommandResult, type Runner, toHostCommand } from '@pxmgr/kit/exec/command';
import { redact, stripControl } from '@pxmgr/kit/log/redact';
import { throwIfAborted } from '@pxmgr/kit/sync/abort';
import type { Effect } from './journal.ts';
import type { LiveOperation } from './live-operation.ts';

export interface WorkRunOptions {
  /** Stream name of the command's standard output in the operation's log; 'none' keeps it out. Default 'out', for commands that only read 'none'. */
  readonly stdoutAs?: 'out' | 'task' | 'none';
  /** Runs on although the operation was cancelled: for undoing. */
  readonly evenIfCancelled?: boolean;
}

/**
 * What the body of an operation works with: every step, effect, command and byte count goes through it and so into
 * the journal and to whoever watches.
 */
export class Work {
  readonly #operation: LiveOperation;
  readonly #runner: Runner;
  /** Aborted when somebody cancels the operation or the agent stops; what ends an interrupted one heeds no cancel. */
  readonly signal: AbortSignal;

  constructor(operation: LiveOperation, runner: Runner, signal: AbortSignal = operation.abort.signal) {
    this.#operation = operation;
    this.#runner = runner;
    this.signal = signal;
  }

  get id(): string {
    return this.#operation.id;
  }

  /** A named part of the work; its failure is the operation's failure. */
  async step<T>(name: string, title: string, body: () => Promise<T>): Promise<T> {
    throwIfAborted(this.signal);
    const step = this.#operation.beginStep(name, title);
    try {
      const value = await body();
      this.#operation.endStep(step, OperationState.OPERATION_STATE_DONE, '');
      return value;
    } catch (error) {
      const state = this.signal.aborted
        ? OperationState.OPERATION_STATE_CANCELLED
        : OperationState.OPERATION_STATE_FAILED;
      this.#operation.endStep(step, state, messageOf(error));
      throw error;
    }
  }

  /** The intent is on the disk before `body` begins, the outcome after it. */
  async effect<T>(effect: Effect, body: () => Promise<T>): Promise<T> {
    const { journal } = this.#operation;
    const n = await journal.intent(effect);
    let value: T;
    try {
      value = await body();
    } catch (error) {
      await journal.outcome(n, false);
      throw error;
    }
    await journal.outcome(n, true);
    return value;
  }

  /** Runs a host command and shows it, its lines and its end as events. */
  run(command: Command, options: WorkRunOptions = {}): Promise<CommandResult> {
    const shown = toHostCommand(command);
    // What only looks prints data, not progress.
    const stdoutAs = options.stdoutAs ?? (command.readOnly === true ? 'none' : 'out');
    return this.#runner.run(command, {
      operationId: this.id,
      ...(options.evenIfCancelled === true ? {} : { signal: this.signal }),
      onStart: () => {
        this.#showCommand(shown);
      },
      onLine: (stream, line) => {
        if (stream === 'err') this.log('err', line);
        else if (stdoutAs !== 'none') this.log(stdoutAs, line);
      },
      onEnd: (result) => {
        this.#showCommand(shown, result);
      },
    });
  }

  /** An effect without a subprocess, shown like a command. */
  internal(purpose: string): void {
    this.#operation.emit({ $case: 'command', value: { ...UNFINISHED, command: internalCommand(purpose) } });
  }

  log(stream: 'out' | 'err' | 'task' | 'note', text: string): void {
    this.#operation.emit({ $case: 'log', value: { stream, text: stripControl(redact(text)) } });
  }

  /** Goes on, but deserves a look. */
  warn(text: string): void {
    this.#operation.warning(stripControl(redact(text)));
  }

  bytes(label: string, done: number, total: number): void {
    this.#operation.emit({ $case: 'bytes', value: { label, done: BigInt(done), total: BigInt(total) } });
  }

  result(name: string, value: string): void {
    this.#operation.result(name, value);
  }

  upid(upid: string): void {
    this.#operation.upid(upid);
  }

  #showCommand(command: HostCommand, result?: CommandResult): void {
    if (result === undefined) {
      this.#operation.emit({ $case: 'command', value: { ...UNFINISHED, command } });
      return;
    }
    this.#operation.emit({
      $case: 'command',
      value: {
        command,
        exitCode: result.exitCode ?? -1,
        signal: result.signal ?? '',
        durationMs: Math.round(result.ms),
        finished: true,
      },
    });
  }
}

const UNFINISHED = { exitCode: 0, signal: '', durationMs: 0, finished: false };

/** An effect of ours as the wire shows it beside real commands. */
export function internalCommand(purpose: string): HostCommand {
  return { argv: [], purpose, internal: true };
}
