/** What a reader of the demo sees: chapters, sentences, and commands echoed before their real output. */

import type { CommandResult } from '@pxmgr/kit/exec/command';
import { quoteWord } from '@pxmgr/kit/exec/command';
import pc from 'picocolors';
import type { Cli } from '../stand/cli.ts';

const WIDTH = 78;

export class Narrator {
  private readonly started = performance.now();
  private readonly write: (text: string) => void;
  private readonly requireWanted: () => void;

  /** `requireWanted` is asked before each new piece and throws when no more is to be told. */
  constructor(write: (text: string) => void, requireWanted: () => void = () => undefined) {
    this.write = write;
    this.requireWanted = requireWanted;
  }

  chapter(title: string): void {
    this.requireWanted();
    const seconds = ((performance.now() - this.started) / 1000).toFixed(0);
    this.write(
      `\n${pc.bold(`── ${title} ${'─'.repeat(Math.max(3, WIDTH - title.length - seconds.length - 7))} ${seconds} s`)}\n`,
    );
  }

  say(text: string): void {
    this.requireWanted();
    this.write(`${text}\n`);
  }

  /** The command, its output as it comes, and its exit code where that is the point. Throws when the code is not the expected one. */
  async run(cli: Cli, args: readonly string[], expected = 0): Promise<CommandResult> {
    this.requireWanted();
    this.write(`\n${pc.cyan(`$ pxmgr ${args.map(quoteWord).join(' ')}`)}\n`);
    const result = await cli.run(args, { onLine: (_stream, line) => this.write(`${line}\n`) });
    if (result.exitCode !== expected)
      throw new Error(
        `pxmgr ${args.join(' ')}: exit code ${result.exitCode ?? result.signal ?? '?'}, expected ${expected}\n${result.stderr}`,
      );
    if (expected !== 0) this.write(pc.dim(`(exit code ${expected})\n`));
    return result;
  }

  /** A command that is not ours, with its output. */
  quote(commandLine: string, output: string): void {
    this.requireWanted();
    this.write(
      `\n${pc.cyan(`# ${commandLine}`)}\n${output.trimEnd() === '' ? pc.dim('(nothing)') : output.trimEnd()}\n`,
    );
  }
}
