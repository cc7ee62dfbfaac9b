import { PxmError } from '../error/pxm-error.ts';
import { maskSecrets, redact, stripControlInLines } from '../log/redact.ts';
import type { CommandResult } from './command.ts';

const TAIL_BYTES = 4096;

/** The last 4 KiB of stderr (of stdout when stderr is empty), masked and without control characters. */
export function errorTail(result: CommandResult): string {
  const text = result.stderr.trim() === '' ? result.stdout : result.stderr;
  const tail = text.length > TAIL_BYTES ? text.slice(-TAIL_BYTES) : text;
  return stripControlInLines(redact(maskSecrets(tail, result.command.secrets ?? []))).trim();
}

/** PXM_COMMAND_TIMEOUT, PXM_CANCELLED or PXM_COMMAND_FAILED for a result that the caller does not accept. */
export function commandFailed(result: CommandResult, node = ''): PxmError {
  const { command } = result;
  const tail = errorTail(result);
  const fields: Record<string, string> = { tool: command.file, purpose: command.purpose };
  if (result.cancelled) return new PxmError('PXM_CANCELLED', { what: command.purpose });
  if (result.timedOut)
    return new PxmError(
      'PXM_COMMAND_TIMEOUT',
      { ...fields, where: node === '' ? '' : ` on ${node}`, seconds: String(Math.round(command.timeoutMs / 1000)) },
      { detail: tail },
    );
  const status = result.signal === null ? ` (exit status ${String(result.exitCode)})` : ` (${result.signal})`;
  return new PxmError('PXM_COMMAND_FAILED', { ...fields, status, exit: String(result.exitCode) }, { detail: tail });
}

/** The result when the program ended with 0 in time; throws `commandFailed` otherwise. */
export function expectSuccess(result: CommandResult): CommandResult {
  if (result.exitCode === 0 && !result.timedOut && !result.cancelled) return result;
  throw commandFailed(result);
}
