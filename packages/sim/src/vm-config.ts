/** The part of a VM's config file that is read here: plain keys of the first section and of the pending one. */
import { decodeText } from './text-code.ts';

export interface VmConfig {
  readonly values: ReadonlyMap<string, string>;
  readonly pending: ReadonlyMap<string, string>;
}

export function parseVmConfig(text: string): VmConfig {
  const sections: Record<string, Map<string, string>> = { current: new Map(), pending: new Map() };
  let name = 'current';
  let description = '';
  for (const line of text.split('\n')) {
    const header = /^\[([^\]]+)\]\s*$/.exec(line)?.[1];
    if (header !== undefined) name = header.toLowerCase() === 'pending' ? 'pending' : 'snapshot';
    else if (line.startsWith('#') && name === 'current') description += `${decodeText(line.slice(1))}\n`;
    else {
      const pair = /^([a-z][a-z_]*\d*):\s*(.+?)\s*$/.exec(line);
      if (pair?.[1] !== undefined) sections[name]?.set(pair[1], pair[2] ?? '');
    }
  }
  if (description !== '') sections['current']?.set('description', description);
  return { values: sections['current'] ?? new Map(), pending: sections['pending'] ?? new Map() };
}
