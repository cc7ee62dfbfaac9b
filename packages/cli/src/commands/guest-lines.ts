/** What is said about a guest after work on it. */
import type { Operation } from '@pxmgr/contract/common';

export function guestLine(verb: string): (operation: Operation) => readonly string[] {
  return (operation) => {
    const { results } = operation;
    const addresses = results['addresses'] ?? '';
    const where = operation.nodeName === '' ? '' : ` on ${operation.nodeName}`;
    const lines = [`container ${operation.vmid}${where} ${verb}${addresses === '' ? '' : `, addresses ${addresses}`}`];
    if (operation.recovery !== '')
      lines.push(`(the agent was interrupted meanwhile; the operation was ${operation.recovery})`);
    return lines;
  };
}
