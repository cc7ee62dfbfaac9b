/** Follow an operation to its end: progress on stderr; Ctrl-C stops watching, not the operation. */
import type { Operation } from '@pxmgr/contract/common';
import { OperationServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { fromProblem } from '@pxmgr/kit/error/to-problem';
import { controllerOf } from '../client.ts';
import type { Context } from '../context.ts';
import { EXIT_INTERRUPTED } from '../exit.ts';
import { hasEnded, operationJson, stateWord } from '../render/operation.ts';
import { Progress } from '../render/progress.ts';
import { detail, type Result } from '../result.ts';
import { themeOf } from './page.ts';

export interface FollowOptions {
  readonly commands: boolean;
  /** Lines for people when it went well. */
  readonly done: (operation: Operation) => readonly string[];
}

function progressFor(context: Context, commands: boolean): Progress {
  const { streams } = context;
  const live = streams.errIsTty && !context.look.plain ? streams.errWidth : undefined;
  return new Progress({
    theme: themeOf(context),
    live,
    commands,
    write: context.quiet ? () => undefined : streams.err,
  });
}

async function watch(context: Context, id: string, progress: Progress): Promise<Operation | undefined> {
  let last: Operation | undefined;
  for await (const { event } of controllerOf(context).follow(OperationServiceClient, 'watchOperation', {
    id,
    afterSeq: 0n,
  })) {
    if (event === undefined) continue;
    if (event.event?.$case === 'operation') last = event.event.value;
    progress.event(event);
  }
  return last;
}

function failure(operation: Operation): PxmError {
  if (operation.problem !== undefined) return fromProblem(operation.problem);
  return new PxmError('PXM_CANCELLED', { what: operation.title });
}

/** Result of a finished operation; its failure is thrown with its own code. */
export function operationResult(operation: Operation, lines: readonly string[]): Result {
  if (stateWord(operation.state) !== 'done') throw failure(operation);
  return detail({ noun: 'Operation', name: operation.id, lines, json: operationJson(operation) });
}

export async function followOperation(context: Context, id: string, options: FollowOptions): Promise<Result> {
  const progress = progressFor(context, options.commands);
  let operation: Operation | undefined;
  try {
    operation = await watch(context, id, progress);
  } catch (error) {
    if (!context.interrupted.aborted) throw error;
    progress.end();
    context.streams.err(`still running; watch it with: pxmgr operation watch ${id}\n`);
    return { kind: 'streamed', exit: EXIT_INTERRUPTED };
  } finally {
    progress.end();
  }
  if (operation === undefined || !hasEnded(operation))
    operation = (await controllerOf(context).ask(OperationServiceClient, 'getOperation', { id })).operation;
  if (operation === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
  const lines = options.done(operation);
  const unsaid = operation.warnings.filter(
    (warning) => !progress.warned.has(warning) && !lines.some((line) => line.includes(warning)),
  );
  for (const warning of unsaid) context.streams.err(`${themeOf(context).warn('warning:')} ${warning}\n`);
  return operationResult(operation, lines);
}
