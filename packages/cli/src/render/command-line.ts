/** A host command as a person would paste it into a shell; only for reading, we never run text. */
import type { HostCommand } from '@pxmgr/contract/common';

const SAFE = /^[A-Za-z0-9_@%+=:,./-]+$/;

export function quoteWord(word: string): string {
  if (SAFE.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export function renderHostCommand(command: HostCommand): string {
  if (command.internal) return `(${command.purpose})`;
  return command.argv.map(quoteWord).join(' ');
}
