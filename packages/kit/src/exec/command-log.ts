import { appendFile } from 'node:fs/promises';
import type { Logger } from '../log/logger.ts';
import { type CommandResult, maskedArgv } from './command.ts';

/** One line of the command log: what ran on this machine, when, why and how it ended. */
export interface CommandRecord {
  at: string;
  argv: string[];
  purpose: string;
  exit: number | null;
  signal: string | null;
  ms: number;
  op: string | undefined;
  timedOut: boolean;
  cancelled: boolean;
}

export function commandRecord(result: CommandResult, at: Date, operationId: string | undefined): CommandRecord {
  return {
    at: at.toISOString(),
    argv: maskedArgv(result.command),
    purpose: result.command.purpose,
    exit: result.exitCode,
    signal: result.signal,
    ms: Math.round(result.ms),
    op: operationId,
    timedOut: result.timedOut,
    cancelled: result.cancelled,
  };
}

/** One write with O_APPEND per line, so lines of concurrent commands never mix. A full disk must not fail the command. */
export async function appendCommandRecord(path: string, record: CommandRecord, logger: Logger): Promise<void> {
  try {
    await appendFile(path, `${JSON.stringify(record)}\n`, { flag: 'a', mode: 0o600 });
  } catch (error) {
    logger.warn({ err: error }, 'command log cannot be written');
  }
}
