import { isAbsolute } from 'node:path';
import { PxmError } from '../error/pxm-error.ts';
import type { Command } from './command.ts';

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Refuses what no correct builder makes. NUL would cut an argument, a lone surrogate would become U+FFFD silently. */
export function checkCommand(command: Command): void {
  const problem = problemOf(command);
  if (problem === undefined) return;
  throw new PxmError('PXM_INTERNAL', {}, { detail: `command "${command.purpose}": ${problem}` });
}

function problemOf(command: Command): string | undefined {
  if (command.file === '') return 'the program name is empty';
  if (command.file.includes('/') && !isAbsolute(command.file))
    return 'the program is neither a bare name nor an absolute path';
  if (!(command.timeoutMs > 0)) return 'the time-out is not positive';
  const words = [command.file, ...command.args, command.cwd ?? '', ...Object.entries(command.env ?? {}).flat()];
  if (words.some((word) => word.includes('\0'))) return 'an argument holds a NUL';
  if (words.some((word) => LONE_SURROGATE.test(word))) return 'an argument is not well-formed Unicode';
  const names = Object.keys(command.env ?? {});
  if (names.some((name) => name === '' || name.includes('='))) return 'an environment name is empty or holds "="';
  return names.includes('PATH') ? 'PATH is fixed by the runner' : undefined;
}
