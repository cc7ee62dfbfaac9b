/**
 * Operation events to progress on stderr: one live line per running step on a terminal, plain lines elsewhere.
 * Pure text in, text out; the caller owns the stream.
 */
import { formatDuration, formatSize } from '@pxmgr/contract';
import type { ByteProgress, CommandRun, LogLine, OperationEvent, OperationStep } from '@pxmgr/contract/common';
import { renderHostCommand } from './host-command.ts';
import { stateWord } from './operation.ts';
import type { Theme } from './theme.ts';
import { cut } from './width.ts';

export interface ProgressOptions {
  readonly theme: Theme;
  /** Cells of the terminal; undefined = plain lines, no live line. */
  readonly live: number | undefined;
  /** Show every host command with its exit and duration. */
  readonly commands: boolean;
  readonly write: (text: string) => void;
}

const CLEAR_LINE = '\r\u001b[K';
/** Without a terminal a transfer says something every quarter. */
const PLAIN_STEPS = 4;

export class Progress {
  private readonly options: ProgressOptions;
  /** Warnings that were shown already. */
  readonly warned = new Set<string>();
  private liveText = '';
  private readonly shownQuarters = new Map<string, number>();
  private readonly said = new Set<string>();

  constructor(options: ProgressOptions) {
    this.options = options;
  }

  event(event: OperationEvent): void {
    switch (event.event?.$case) {
      case 'stepChanged':
        this.step(event.event.value);
        break;
      case 'bytes':
        this.bytes(event.event.value);
        break;
      case 'log':
        this.log(event.event.value);
        break;
      case 'command':
        this.command(event.event.value);
        break;
      case 'operation':
      case undefined:
        break;
    }
  }

  /** Take the live line away. */
  end(): void {
    if (this.liveText !== '') this.options.write(CLEAR_LINE);
    this.liveText = '';
  }

  private line(text: string): void {
    const live = this.liveText;
    this.end();
    this.options.write(`${text}\n`);
    if (live !== '') this.show(live);
  }

  private show(text: string): void {
    if (this.options.live === undefined) return;
    this.liveText = text;
    this.options.write(CLEAR_LINE + cut(text, this.options.live - 1));
  }

  private step(step: OperationStep): void {
    const { theme } = this.options;
    const state = stateWord(step.state);
    if (state === 'running') {
      this.running(step);
      return;
    }
    if (state === 'queued') return;
    const took =
      step.startedAt !== undefined && step.endedAt !== undefined
        ? `  ${formatDuration(step.endedAt.getTime() - step.startedAt.getTime())}`
        : '';
    const mark = state === 'done' ? theme.good(theme.marks.good) : theme.bad(theme.marks.bad);
    this.end();
    this.line(`${mark} ${step.title}${theme.dim(took)}`);
  }

  /** The title once, then what it is at; a step says "running" again for each thing it does. */
  private running(step: OperationStep): void {
    const { theme, live } = this.options;
    const text = step.detail === '' || step.detail === step.title ? step.title : `${step.title}: ${step.detail}`;
    if (live !== undefined) {
      this.show(`${theme.marks.run} ${text}`);
      return;
    }
    const key = `${step.index} ${step.detail}`;
    if (this.said.has(key)) return;
    this.said.add(key);
    if (!this.said.has(`${step.index}`)) this.line(`${theme.marks.run} ${step.title}`);
    this.said.add(`${step.index}`);
    if (text !== step.title) this.line(`  ${step.detail}`);
  }

  private bytes(progress: ByteProgress): void {
    const total = Number(progress.total);
    const done = Number(progress.done);
    const text =
      total > 0
        ? `${formatSize(done)} of ${formatSize(total)} (${Math.floor((100 * done) / total)} %)`
        : formatSize(done);
    if (this.options.live !== undefined) {
      this.show(`${this.options.theme.marks.run} ${progress.label} ${text}`);
      return;
    }
    const quarter = total > 0 ? Math.floor((PLAIN_STEPS * done) / total) : 0;
    if (quarter <= (this.shownQuarters.get(progress.label) ?? -1)) return;
    this.shownQuarters.set(progress.label, quarter);
    this.line(`  ${progress.label} ${text}`);
  }

  private log(log: LogLine): void {
    const { theme } = this.options;
    if (log.stream === 'warning') {
      this.warned.add(log.text);
      this.line(`${theme.warn('warning:')} ${log.text}`);
    } else if (log.stream === 'note') this.line(`  ${log.text}`);
    else if (this.options.commands) this.line(theme.dim(`    ${log.text}`));
  }

  private command(run: CommandRun): void {
    if (!this.options.commands || run.command === undefined) return;
    const { theme } = this.options;
    if (!run.finished) this.line(theme.dim(`  $ ${renderHostCommand(run.command)}`));
    else if (run.exitCode !== 0 || run.signal !== '')
      this.line(
        theme.dim(
          `    ended with ${run.signal === '' ? `status ${run.exitCode}` : run.signal} after ${formatDuration(run.durationMs)}`,
        ),
      );
  }
}
