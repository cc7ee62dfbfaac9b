/** One of our programs, or a server from Debian, as a child of this process: its output goes to a log file. */
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '@pxmgr/kit/clock';
import type { CommandResult, Runner, RunningCommand } from '@pxmgr/kit/exec/command';

export interface DaemonSpec {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  readonly logFile: string;
}

/** Arguments of Node for a module to be loaded first. */
export function importOf(preload: string | undefined): string[] {
  return preload === undefined ? [] : ['--import', preload];
}

export class Daemon {
  readonly name: string;
  readonly logFile: string;
  ended: CommandResult | undefined;
  private readonly child: RunningCommand;
  private readonly lines: string[] = [];
  private readonly waiting = new Set<() => void>();

  constructor(runner: Runner, spec: DaemonSpec) {
    this.name = spec.name;
    this.logFile = spec.logFile;
    this.child = runner.start({
      file: spec.file,
      args: spec.args,
      purpose: `run ${spec.name}`,
      timeoutMs: Number.POSITIVE_INFINITY,
      ...(spec.env === undefined ? {} : { env: spec.env }),
    });
    const log = createWriteStream(spec.logFile, { flags: 'a' });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      const reader = createInterface({ input: stream });
      reader.on('line', (line) => {
        log.write(`${line}\n`);
        this.lines.push(line);
        for (const wake of this.waiting) wake();
      });
    }
    void this.child.done.then((result) => {
      this.ended = result;
      for (const wake of this.waiting) wake();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The first output line that matches, from the beginning on. */
  async line(pattern: RegExp, limitMs: number): Promise<string> {
    const end = systemClock.monotonicMs() + limitMs;
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.ended !== undefined)
        throw new Error(
          `${this.name} ended (status ${this.ended.exitCode ?? this.ended.signal}) before it said ${pattern.source}; last lines:\n${this.lines.slice(-10).join('\n')}`,
        );
      const left = end - systemClock.monotonicMs();
      if (left <= 0)
        throw new Error(`${this.name} did not say ${pattern.source} within ${limitMs} ms; see ${this.logFile}`);
      await this.woken(left);
    }
  }

  /** SIGTERM, then what the kill ladder does. */
  async stop(): Promise<CommandResult> {
    this.child.terminate();
    return await this.child.done;
  }

  /** SIGKILL: no chance to say goodbye. */
  async kill(): Promise<CommandResult> {
    if (this.ended === undefined) process.kill(this.pid, 'SIGKILL');
    return await this.child.done;
  }

  private woken(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, limitMs);
      this.waiting.add(done);
    });
  }
}
