/** A host command as a person would paste it into a shell; only for reading, we never run text. */
import type { HostCommand } from '@pxmgr/contract/common';
import { quoteWord } from '@pxmgr/kit/exec/command';

export function renderHostCommand(command: HostCommand): string {
  if (command.internal) return `(${command.purpose})`;
  return command.argv.map(quoteWord).join(' ');
}
