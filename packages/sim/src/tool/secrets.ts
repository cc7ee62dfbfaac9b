/**
 * Secrets whose option has no value are read from the input, a line each (pve-common src/PVE/CLIHandler.pm
 * pve-password, src/PVE/PTY.pm read_password). Without a terminal nothing is prompted.
 */
import { ToolError } from '../call/tool.ts';
import type { ParsedCall } from '../schema/command.ts';

/** The number that asking a stream for its terminal leaves: none is there. */
const ENOTTY = 25;

export async function withSecrets(call: ParsedCall, stdin: AsyncIterable<Uint8Array>): Promise<ParsedCall> {
  const asked = Object.entries(call.properties).filter(
    ([name, { interactive }]) => interactive !== undefined && /^0?$/.test(String(call.params[name] ?? 'given')),
  );
  if (asked.length === 0) return call;
  const lines = linesOf(stdin);
  const params = { ...call.params };
  for (const [name, { interactive }] of asked) {
    const secret = await line(lines);
    if (interactive === 'confirmed' && (await line(lines)) !== secret)
      throw new ToolError('passwords do not match\n', ENOTTY);
    params[name] = secret;
  }
  return { ...call, params };
}

async function line(lines: AsyncIterator<string>): Promise<string> {
  const next = await lines.next();
  if (next.done === true) throw new ToolError('EOF while reading password\n', ENOTTY);
  return next.value;
}

async function* linesOf(stdin: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of stdin) {
    const parts = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  if (rest !== '') yield rest;
  return undefined;
}
