/** The shipped command line tool against one controller. */
import type { Command, CommandResult, RunningCommand } from '@pxmgr/kit/exec/command';
import { bundle, type StandDir } from './stand-dir.ts';

const LIMIT_MS = 180_000;

export interface CliOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly onLine?: (stream: 'out' | 'err', line: string) => void;
  readonly timeoutMs?: number;
}

export class Cli {
  private readonly dir: StandDir;
  private readonly socket: string;

  constructor(dir: StandDir, socket: string) {
    this.dir = dir;
    this.socket = socket;
  }

  /** Never rejects for an exit code. */
  async run(args: readonly string[], options: CliOptions = {}): Promise<CommandResult> {
    return await this.dir.runner.run(
      this.command(args, options),
      options.onLine === undefined ? {} : { onLine: options.onLine },
    );
  }

  /** A call that goes on while the caller does other things. */
  start(args: readonly string[]): RunningCommand {
    return this.dir.runner.start(this.command(args, {}));
  }

  private command(args: readonly string[], options: CliOptions): Command {
    return {
      file: process.execPath,
      args: [bundle('pxmgr'), ...args],
      purpose: 'run pxmgr',
      timeoutMs: options.timeoutMs ?? LIMIT_MS,
      env: { PXMGR_CONTROLLER: `unix:${this.socket}`, HOME: this.dir.root, ...options.env },
      maxOutputBytes: 16 * 1024 * 1024,
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    };
  }

  /** Standard output; throws with both streams when the exit code is not 0. */
  async text(args: readonly string[], options: CliOptions = {}): Promise<string> {
    const result = await this.run(args, options);
    if (result.exitCode !== 0)
      throw new Error(
        `pxmgr ${args.join(' ')} ended with ${result.exitCode ?? result.signal ?? '?'}:\n${result.stdout}${result.stderr}`,
      );
    return result.stdout;
  }

  /** The `items` or `item` of the JSON answer. */
  async json<T>(args: readonly string[]): Promise<T> {
    const answer = JSON.parse(await this.text([...args, '-o', 'json'])) as { items?: T; item?: T };
    const data = answer.items ?? answer.item;
    if (data === undefined) throw new Error(`pxmgr ${args.join(' ')} answered neither item nor items`);
    return data;
  }
}
