/** Arguments that several commands of `zfs` read in the same way. */
import type { Pairs } from '../pool/refuse.ts';
import type { ToolIo } from '../tool.ts';
import { type Getopt, GetoptError } from './getopt.ts';

export function missing(text: string): never {
  throw new GetoptError(text);
}

export function operand(call: Getopt, index: number): string {
  return (
    call.operands[index] ?? missing(index === 0 ? 'missing source dataset argument' : 'missing target dataset argument')
  );
}

/** The values of -o. */
export function pairs(call: Getopt): Pairs {
  return (call.options.get('o') ?? []).map(pairOf);
}

export function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  return at > 0 ? [text.slice(0, at), text.slice(at + 1)] : missing("missing '=' for property=value argument");
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
