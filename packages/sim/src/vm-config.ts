/** The part of a VM's config file that is read here: plain keys of the first section and of the pending one. */
import { decodeText } from './text-code.ts';

export interface VmConfig {
  readonly values: ReadonlyMap<string, string>;
  readonly pending: ReadonlyMap<string, string>;
}

export function parseVmConfig(text: string): VmConfig {
  const values = new Map<string, string>();
  const pending = new Map<string, string>();
  let section: Map<string, string> | undefined = values;
  let description = '';
  for (const line of text.split('\n')) {
    const header = /^\[([^\]]+)\]\s*$/.exec(line)?.[1];
    if (header !== undefined) section = header.toLowerCase() === 'pending' ? pending : undefined;
    else if (line.startsWith('#') && section === values) description += `${decodeText(line.slice(1))}\n`;
    else readPair(line, section);
  }
  if (description !== '') values.set('description', description);
  return { values, pending };
}

function readPair(line: string, section: Map<string, string> | undefined): void {
  const [, key, value] = /^([a-z][a-z_]*\d*):\s*(.+?)\s*$/.exec(line) ?? [];
  if (key !== undefined && value !== undefined) section?.set(key, value);
}
