/**
 * exec/: the one door to other programs. A `Command` is a value (program, argv, limits, secrets); `run.ts` executes
 * it, `scripted.ts` is its double. argv only, never a shell string; PATH and environment are fixed by the runner.
 * This room never decides what an exit status means: callers do, with the tool's own rules.
 */
import type { Readable, Writable } from 'node:stream';
import type { HostCommand } from '@pxmgr/contract/common';
import { maskSecrets, redact, stripControl } from '../log/redact.ts';

/** One program call. `purpose` is a few words for logs and operation records. */
export interface Command {
  /** Bare name looked up on the runner's PATH, or an absolute path. */
  file: string;
  args: readonly string[];
  purpose: string;
  stdin?: string | Uint8Array;
  /** Added to the runner's clean environment; may not replace PATH. */
  env?: Record<string, string>;
  cwd?: string;
  /** From the start to the end of the process; then the kill ladder begins. Infinity only for supervised daemons. */
  timeoutMs: number;
  /** Between SIGTERM and SIGKILL, default 15,000: pct removes what a half-done create made when it gets SIGTERM. */
  killGraceMs?: number;
  /** Strings that must not appear in logs, records or streamed lines. */
  secrets?: readonly string[];
  /** Kept per stream, default 1 MiB; beyond it the middle is left out and `truncated` is set. */
  maxOutputBytes?: number;
  /** Open descriptors that the child gets as fd 3, 4, ... (an flock held by the parent travels this way). */
  extraFds?: readonly number[];
  /** True for calls that change nothing: logged at debug. */
  readOnly?: boolean;
}

/** What is known when the process is gone. `stdout` and `stderr` are not masked: callers parse them. */
export interface CommandResult {
  command: Command;
  /** Program first, secrets masked. */
  argv: string[];
  exitCode: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  truncated: boolean;
  ms: number;
  timedOut: boolean;
  cancelled: boolean;
}

/**
 * In the environment of every program that an operation starts: whoever finds such a program after a crash of ours knows
 * whose it is, even when it was started in the very moment of the crash. Its own children inherit the first variable;
 * only the program itself is called as the second says.
 */
export const OPERATION_VARIABLE = 'PXMGR_OPERATION';
export const PROGRAM_VARIABLE = 'PXMGR_PROGRAM';

export interface RunOptions {
  /** Abort begins the kill ladder; the result then says `cancelled`. */
  signal?: AbortSignal;
  /** Each output line, masked and free of control characters; `\r` ends a line too, so progress meters stream. */
  onLine?: (stream: 'out' | 'err', line: string) => void;
  /** The program is marked with it; see OPERATION_VARIABLE. */
  operationId?: string;
  onStart?: (command: Command, pid: number) => void;
  onEnd?: (result: CommandResult) => void;
}

/** A process that is still talking. */
export interface RunningCommand {
  readonly pid: number | undefined;
  readonly stdin: Writable;
  /** Take the streams you want in the same turn as `start`; a stream nobody took is read and only kept bounded. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly done: Promise<CommandResult>;
  /** Begins the kill ladder; the result then says `cancelled`. Harmless after the end. */
  terminate(): void;
}

/**
 * The door. Errors by code: PXM_COMMAND_NOT_FOUND (program missing or not executable), PXM_COMMAND_FAILED (the
 * kernel refused the start), PXM_INTERNAL (an argv that no correct builder makes). An exit status is never an error.
 */
export interface Runner {
  run(command: Command, options?: RunOptions): Promise<CommandResult>;
  /** Throws PXM_INTERNAL at once; a failed start rejects `done`. */
  start(command: Command, options?: RunOptions): RunningCommand;
}

export const DEFAULT_KILL_GRACE_MS = 15_000;
export const DEFAULT_MAX_OUTPUT_BYTES = 1024 * 1024;

/** argv with the program first and secrets masked; the form for logs and records. */
export function maskedArgv(command: Command): string[] {
  return [command.file, ...command.args].map((word) => redact(maskSecrets(word, command.secrets ?? [])));
}

const PLAIN_WORD = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** One word as bash reads it back; control characters are escaped, so that it cannot speak to a terminal. */
export function quoteWord(word: string): string {
  if (PLAIN_WORD.test(word)) return word;
  if (stripControl(word) !== word) return `$'${Array.from(word, escapeCharacter).join('')}'`;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function escapeCharacter(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`;
  if (stripControl(character) === character) return character;
  const code = character.codePointAt(0) ?? 0;
  return code < 0x80 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** One line that can be pasted into bash, secrets masked; a hostile name cannot write to the terminal through it. */
export function displayCommand(command: Command): string {
  return maskedArgv(command).map(quoteWord).join(' ');
}

/** The wire form for plans and operation records; masked. */
export function toHostCommand(command: Command): HostCommand {
  return { argv: maskedArgv(command), purpose: command.purpose, internal: false };
}
