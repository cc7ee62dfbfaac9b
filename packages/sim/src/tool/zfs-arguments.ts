/** Arguments that several commands of `zfs` read in the same way. */

import { ToolError, type ToolIo } from '../call/tool.ts';
import type { Pairs } from '../pool/refuse.ts';
import { type Getopt, GetoptError } from './getopt.ts';

export function missing(text: string): never {
  throw new GetoptError(text);
}

/** Is it a command that the usage text names? One of those is not unknown, only not here. */
export function isListed(usage: string, word: string): boolean {
  return usage.split('\n').some((line) => line === `\t${word}` || line.startsWith(`\t${word} `));
}

/** Exactly that many operands; each that is missing has a text of its own. */
export function operands(call: Getopt, ...texts: readonly string[]): readonly string[] {
  for (const [index, text] of texts.entries()) if (call.operands[index] === undefined) missing(text);
  if (call.operands.length > texts.length) missing('too many arguments');
  return call.operands;
}

export function fromTo(call: Getopt): { from: string; to: string } {
  const [from = '', to = ''] = operands(call, 'missing source dataset argument', 'missing target dataset argument');
  return { from, to };
}

/** The values of -o. A wrong one ends the call without the usage text. */
export function pairs(call: Getopt): Pairs {
  return pairsOf(call.options.get('o') ?? [], 1);
}

export function pairsOf(words: readonly string[], status: number): Pairs {
  const found = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 0) throw new ToolError("missing '=' for property=value argument\n", status);
    const name = word.slice(0, at);
    if (found.has(name)) throw new ToolError(`property '${name}' specified multiple times\n`, status);
    found.set(name, word.slice(at + 1));
  }
  return [...found];
}

/** A passphrase that is not typed at a terminal. */
export async function firstLine(io: ToolIo): Promise<string> {
  let text = '';
  for await (const data of io.stdin) {
    text += Buffer.from(data).toString();
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0] ?? '';
}

export function isPlainUser({ uid }: ToolIo): boolean {
  return (uid ?? 0) !== 0;
}
