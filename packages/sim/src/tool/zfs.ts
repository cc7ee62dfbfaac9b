/** `zfs` of the stand-in: argument forms, output and statuses of openzfs/zfs cmd/zfs/zfs_main.c (2.3); the work is in pool/. */

import { type Tool, ToolError, type ToolIo } from '../call/tool.ts';
import { recordHistory } from '../pool/history.ts';
import { GetoptError, getopt } from './getopt.ts';
import { isListed } from './zfs-arguments.ts';
import { COMMANDS } from './zfs-commands.ts';
import { requirePermission } from './zfs-permission.ts';
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
  const name = ALIASES[word] ?? word;
  const command = COMMANDS[name];
  if (command === undefined && isListed(usageText(undefined), word)) {
    io.err(`zfs ${word} is not part of this stand-in\n`);
    return 255;
  }
  if (command === undefined) return usageEnd(io, `unrecognized command '${word}'`, undefined);
  try {
    const call = getopt(argv.slice(1), command.letters, command.long);
    requirePermission(host, name, { call, io });
    await command.run(host, call, io);
    if (CHANGING.has(name) && !call.options.has('n'))
      recordHistory(host, { dataset: call.operands.at(-1) ?? '', text: `zfs ${argv.join(' ')}` });
    return 0;
  } catch (err) {
    return refusal(io, err, name);
  }
};

function refusal(io: ToolIo, err: unknown, name: string): number {
  if (err instanceof GetoptError)
    return usageEnd(io, err.message.replace("missing argument for 'V' option", 'missing size argument'), name);
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
