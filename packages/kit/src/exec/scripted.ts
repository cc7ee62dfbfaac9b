/**
 * The double of the exec door: expected commands with recorded outputs. It fails on surprise and says what was
 * expected instead, and `assertDone` fails when something expected never ran.
 */
import { PassThrough } from 'node:stream';
import { maskSecrets, redact, stripControl } from '../log/redact.ts';
import { checkCommand } from './check-command.ts';
import {
  type Command,
  type CommandResult,
  displayCommand,
  maskedArgv,
  type Runner,
  type RunningCommand,
  type RunOptions,
} from './command.ts';

/** Program and arguments: one string (split at spaces), an object with exact or patterned arguments, or a predicate. */
export type CommandMatcher =
  | string
  | { file: string; args?: readonly (string | RegExp)[] | ((args: readonly string[]) => boolean) }
  | ((command: Command) => boolean);

export interface ScriptedAnswer {
  exit?: number | null;
  signal?: string;
  stdout?: string;
  stderr?: string;
  /** Streamed to `onLine` in order, before `wait`; also become stdout when none is given. */
  lines?: readonly string[];
  /** The command stays running until this settles; a rejection rejects the run. Abort ends the wait. */
  wait?: Promise<unknown>;
  ms?: number;
  timedOut?: boolean;
  /** Instead of a result. */
  fails?: Error;
  /** What the program would change in the test's world. */
  effect?: (command: Command) => void | Promise<void>;
}

export type Answer = ScriptedAnswer | ((command: Command) => ScriptedAnswer | Promise<ScriptedAnswer>);

interface Expectation {
  readonly matches: (command: Command) => boolean;
  readonly label: string;
  readonly answer: Answer;
  /** How often it must still run; Infinity for `allow`. */
  left: number;
}

export interface ScriptedOptions {
  /** True: expectations must be met in the order they were given. `allow`ed commands may come at any time. */
  ordered?: boolean;
}

/** See `Runner`. `calls` holds every command that was asked for, surprises included. */
export class ScriptedRunner implements Runner {
  readonly calls: Command[] = [];
  readonly #ordered: boolean;
  readonly #expected: Expectation[] = [];
  readonly #surprises: string[] = [];

  constructor(options: ScriptedOptions = {}) {
    this.#ordered = options.ordered ?? false;
  }

  /** Must run exactly `times` times. The first fitting expectation that is not used up answers. */
  expect(matcher: CommandMatcher, answer: Answer = {}, times = 1): this {
    this.#expected.push({ matches: compile(matcher), label: labelOf(matcher), answer, left: times });
    return this;
  }

  /** May run any number of times, also never. */
  allow(matcher: CommandMatcher, answer: Answer = {}): this {
    return this.expect(matcher, answer, Number.POSITIVE_INFINITY);
  }

  async run(command: Command, options: RunOptions = {}): Promise<CommandResult> {
    checkCommand(command);
    const answer = this.#take(command);
    if (options.signal?.aborted) return resultOf(command, {}, true);
    return await play(command, typeof answer === 'function' ? await answer(command) : answer, options);
  }

  start(command: Command, options: RunOptions = {}): RunningCommand {
    checkCommand(command);
    const answer = this.#take(command);
    const stop = new AbortController();
    const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
    const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    streams.stdin.resume();
    const done = (async () => {
      const result = await play(command, typeof answer === 'function' ? await answer(command) : answer, {
        ...options,
        signal,
      });
      streams.stdout.end(result.stdout);
      streams.stderr.end(result.stderr);
      return result;
    })();
    done.catch(() => undefined);
    return {
      pid: 4242,
      ...streams,
      done,
      terminate: () => {
        stop.abort();
      },
    };
  }

  /** Throws when an expected command did not run or an unexpected one did. */
  assertDone(): void {
    const missing = this.#expected
      .filter((one) => Number.isFinite(one.left) && one.left > 0)
      .map((one) => `  never ran: ${one.label}`);
    const problems = [...this.#surprises.map((text) => `  surprise: ${text}`), ...missing];
    if (problems.length > 0) throw new Error(`commands differ from the script:\n${problems.join('\n')}`);
  }

  #take(command: Command): Answer {
    this.calls.push(command);
    const open = this.#expected.filter((one) => one.left > 0);
    const required = open.filter((one) => Number.isFinite(one.left));
    const candidates = this.#ordered
      ? [...required.slice(0, 1), ...open.filter((one) => !Number.isFinite(one.left))]
      : open;
    const found = candidates.find((one) => one.matches(command));
    if (found === undefined) {
      this.#surprises.push(displayCommand(command));
      const wanted = candidates.map((one) => `  ${one.label}`).join('\n') || '  nothing more';
      throw new Error(
        `unexpected command:\n  ${displayCommand(command)}\nexpected ${this.#ordered ? 'next' : 'one of'}:\n${wanted}`,
      );
    }
    found.left -= 1;
    return found.answer;
  }
}

async function play(command: Command, answer: ScriptedAnswer, options: RunOptions): Promise<CommandResult> {
  options.onStart?.(command, 4242);
  if (answer.fails !== undefined) throw answer.fails;
  await answer.effect?.(command);
  for (const line of answer.lines ?? [])
    options.onLine?.('out', stripControl(redact(maskSecrets(line, command.secrets ?? []))));
  const cancelled = answer.wait === undefined ? false : await cancelledWhile(answer.wait, options.signal);
  const result = resultOf(command, answer, cancelled);
  if (answer.lines === undefined) streamText(result, options);
  options.onEnd?.(result);
  return result;
}

function streamText(result: CommandResult, options: RunOptions): void {
  for (const line of result.stdout.split('\n').slice(0, -1)) options.onLine?.('out', stripControl(line));
  for (const line of result.stderr.split('\n').slice(0, -1)) options.onLine?.('err', stripControl(line));
}

function cancelledWhile(wait: Promise<unknown>, signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      resolve(true);
      return;
    }
    signal?.addEventListener('abort', () => {
      resolve(true);
    });
    wait.then(() => {
      resolve(false);
    }, reject);
  });
}

function resultOf(command: Command, answer: ScriptedAnswer, cancelled: boolean): CommandResult {
  const killed = cancelled || answer.signal !== undefined;
  return {
    command,
    argv: maskedArgv(command),
    exitCode: killed ? null : (answer.exit ?? 0),
    signal: cancelled ? 'SIGTERM' : (answer.signal ?? null),
    stdout: answer.stdout ?? (answer.lines ?? []).map((line) => `${line}\n`).join(''),
    stderr: answer.stderr ?? '',
    truncated: false,
    ms: answer.ms ?? 1,
    timedOut: answer.timedOut ?? false,
    cancelled,
  };
}

function compile(matcher: CommandMatcher): (command: Command) => boolean {
  if (typeof matcher === 'function') return matcher;
  const { file, args } = typeof matcher === 'string' ? splitWords(matcher) : matcher;
  if (args === undefined) return (command) => command.file === file;
  if (typeof args === 'function') return (command) => command.file === file && args(command.args);
  return (command) =>
    command.file === file &&
    command.args.length === args.length &&
    args.every((wanted, i) => wordMatches(wanted, command.args[i] ?? ''));
}

function wordMatches(wanted: string | RegExp, word: string): boolean {
  return typeof wanted === 'string' ? wanted === word : wanted.test(word);
}

function splitWords(text: string): { file: string; args: string[] } {
  const [file = '', ...args] = text.split(' ');
  return { file, args };
}

function labelOf(matcher: CommandMatcher): string {
  if (typeof matcher === 'string') return matcher;
  if (typeof matcher === 'function')
    return `a command accepted by ${matcher.name === '' ? 'a predicate' : matcher.name}`;
  const { file, args } = matcher;
  if (args === undefined) return `${file} ...`;
  return typeof args === 'function'
    ? `${file} with arguments accepted by a predicate`
    : `${file} ${args.map(String).join(' ')}`;
}
