/** `zfs` of the stand-in: argument forms, output and statuses of openzfs/zfs cmd/zfs/zfs_main.c (2.3); the work is in pool/. */

import { type Tool, ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { recordHistory } from '../pool/history.ts';
import { GetoptError, getopt } from './getopt.ts';
import { isListed } from './zfs-arguments.ts';
import { COMMANDS } from './zfs-commands.ts';
import { permitFor } from './zfs-permission.ts';
import { usageText } from './zfs-usage.ts';

const ALIASES: Readonly<Record<string, string>> = {
  snap: 'snapshot',
  umount: 'unmount',
  rm: 'destroy',
  recv: 'receive',
  '--version': 'version',
  '-V': 'version',
};

/** What `zpool history` tells of. */
const CHANGING = new Set([
  ...['create', 'destroy', 'snapshot', 'rollback', 'clone', 'promote', 'rename', 'bookmark', 'set', 'inherit'],
  ...['receive', 'hold', 'release', 'allow', 'unallow'],
]);

export const zfs: Tool = async (host, argv, io) => {
  const word = argv[0];
  if (word === undefined) return usageEnd(io, 'missing command', undefined);
  if (word === '-?' || word === '--help') return help(io);
  // `zfs atime=off tank/a` is `zfs set`.
  if (word.includes('=')) return runCommand(host, { name: 'set', words: argv, line: argv.join(' ') }, io);
  const name = ALIASES[word] ?? word;
  if (COMMANDS[name] !== undefined) return runCommand(host, { name, words: argv.slice(1), line: argv.join(' ') }, io);
  if (!isListed(usageText(undefined), word)) return usageEnd(io, `unrecognized command '${word}'`, undefined);
  io.err(`zfs ${word} is not part of this stand-in\n`);
  return 255;
};

async function runCommand(
  host: Host,
  at: { name: string; words: readonly string[]; line: string },
  io: ToolIo,
): Promise<number> {
  const { name } = at;
  const command = COMMANDS[name];
  if (command === undefined) return 255;
  try {
    const call = getopt(at.words, command.letters, command.long);
    const permit = permitFor(host, name, { call, io });
    if (command.asksLate !== true) permit();
    await command.run(host, call, { ...io, permit });
    if (CHANGING.has(name) && !call.options.has('n'))
      recordHistory(host, { dataset: call.operands.at(-1) ?? '', text: `zfs ${at.line}` });
    return 0;
  } catch (err) {
    return refusal(io, err, name);
  }
}

/** Of create, whichever option it was. */
const NO_VALUE = /^missing argument for '.' option$/;

function refusal(io: ToolIo, err: unknown, name: string): number {
  if (err instanceof GetoptError)
    return usageEnd(io, name === 'create' ? err.message.replace(NO_VALUE, 'missing size argument') : err.message, name);
  if (!(err instanceof ToolError)) throw err;
  // A missing file system of a snapshot is answered with the usage text as well.
  if (err.status === 2) return usageEnd(io, err.message.replace(/\n$/, ''), name);
  io.err(err.message);
  return err.status;
}

function help(io: ToolIo): number {
  io.out(usageText(undefined));
  return 0;
}

function usageEnd(io: ToolIo, problem: string, command: string | undefined): number {
  io.err(`${problem === '' ? '' : `${problem}\n`}${usageText(command)}`);
  return 2;
}
