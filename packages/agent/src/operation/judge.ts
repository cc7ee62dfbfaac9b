import type { TaskVerdict } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import { errorTail } from '@pxmgr/kit/exec/failure';
import { classifyText, commandError, type ErrorContext } from '../host/stderr-map.ts';
import type { PveTasks, TaskKey } from './pve-task.ts';
import type { Work, WorkRunOptions } from './work.ts';

/** What the world looks like after the command; `undefined` means as wanted, a text says what is not. */
export type PostCondition = (result: CommandResult) => Promise<string | undefined> | string | undefined;

export interface Verdict {
  readonly ok: boolean;
  /** Set when not ok. */
  readonly error?: PxmError;
  readonly warnings: readonly string[];
}

export interface Evidence {
  readonly result: CommandResult;
  /** From the task's log; undefined when there is no task or it left no last line. */
  readonly task: TaskVerdict | undefined;
  /** What is not as wanted; undefined when all is. */
  readonly difference: string | undefined;
  readonly context: ErrorContext;
  /** Made when the tools claim success and the world disagrees. */
  readonly unmet: (difference: string) => PxmError;
}

/**
 * The result judge: the world first, then the task's log, then the message; the exit status only as a hint that there
 * is a message (proxmox/pve-container src/PVE/CLI/pct.pm: several commands exit 0 although their task failed, and a
 * start may answer 255 for a guest that runs).
 */
export function judge(evidence: Evidence): Verdict {
  const { result, task, difference } = evidence;
  const complaint = complaintOf(evidence);
  if (difference === undefined) {
    if (result.cancelled || result.timedOut)
      return { ok: false, error: commandError(result, evidence.context), warnings: [] };
    if (complaint !== undefined) {
      const text = `${result.command.file} reported a failure, but the result is as wanted: ${complaint.message}`;
      return { ok: true, warnings: [text] };
    }
    const warnings = task?.kind === 'warnings' ? [`the task ended with ${task.count} warning(s)`] : [];
    return { ok: true, warnings };
  }
  return { ok: false, error: complaint ?? evidence.unmet(difference), warnings: [] };
}

function complaintOf({ result, task, context }: Evidence): PxmError | undefined {
  if (result.cancelled || result.timedOut) return commandError(result, context);
  if (task?.kind === 'error') {
    return (
      classifyText(`${task.text}\n${errorTail(result)}`, context, result.command.file) ?? failedTask(result, task.text)
    );
  }
  return result.exitCode === 0 ? undefined : commandError(result, context);
}

function failedTask(result: CommandResult, text: string): PxmError {
  return new PxmError('PXM_COMMAND_FAILED', { tool: result.command.file, status: '' }, { detail: text });
}

export interface TaskCommand {
  readonly command: Command;
  /** The task the command starts; undefined for commands without one. */
  readonly task?: TaskKey;
  readonly context: ErrorContext;
  readonly postCondition: PostCondition;
  readonly unmet: (difference: string) => PxmError;
  readonly run?: WorkRunOptions;
}

/** Runs a command, finds its task, looks at the world and judges. Throws the error of a bad verdict. */
export async function runJudged(work: Work, tasks: PveTasks, wanted: TaskCommand): Promise<CommandResult> {
  const before = wanted.task === undefined ? new Set<string>() : await tasks.list(wanted.task);
  const result = await work.run(wanted.command, {
    stdoutAs: wanted.task === undefined ? 'out' : 'task',
    ...wanted.run,
  });
  const upid = wanted.task === undefined ? undefined : await tasks.findNew(wanted.task, before);
  if (upid !== undefined) work.upid(upid);
  const task = upid === undefined ? undefined : await tasks.verdict(upid);
  const difference = await wanted.postCondition(result);
  const verdict = judge({ result, task, difference, context: wanted.context, unmet: wanted.unmet });
  for (const warning of verdict.warnings) work.warn(warning);
  if (!verdict.ok) throw verdict.error ?? wanted.unmet(difference ?? '');
  return result;
}
