/** `zpool` of the stand-in (openzfs/zfs cmd/zpool/zpool_main.c); createPool makes the pools that a host starts with. */

import { type Tool, ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { recordHistory } from '../pool/history.ts';
import { readPools } from '../pool/state.ts';
import { type Getopt, GetoptError, getopt, has } from './getopt.ts';
import { isListed } from './zfs-arguments.ts';
import { versionText } from './zfs-commands.ts';
import * as change from './zpool-change.ts';
import { get, list, set } from './zpool-list.ts';
import { chosenPools } from './zpool-pools.ts';
import { status } from './zpool-status.ts';
import { zpoolUsage } from './zpool-usage.ts';

interface Command {
  readonly letters: string;
  readonly run: (host: Host, call: Getopt, io: ToolIo) => Promise<void> | void;
  readonly isForAll?: boolean;
}

const LONG = { json: 'j', 'json-int': 'J', 'json-flat-vdevs': 'F', 'json-pool-key-guid': 'G' } as const;

const checkNames = (host: Host, call: Getopt): void => {
  chosenPools(host, call.operands);
};
const version = (host: Host, call: Getopt, io: ToolIo): void => {
  io.out(versionText(host, has(call, 'j') ? 'zpool version' : undefined));
};

/** `isForAll`: users other than root may. */
const COMMANDS: Readonly<Record<string, Command>> = {
  version: { letters: 'j', run: version, isForAll: true },
  '--version': { letters: '', run: version, isForAll: true },
  list: { letters: 'gHLpPvjo:T:', run: list, isForAll: true },
  status: { letters: 'DdegiLPpstvxjc:T:', run: status, isForAll: true },
  get: { letters: 'Hpjo:', run: get, isForAll: true },
  set: { letters: '', run: set },
  create: { letters: 'fndo:O:m:R:t:', run: change.create },
  destroy: { letters: 'f', run: change.destroy, isForAll: true },
  export: { letters: 'af', run: change.exportPool },
  import: { letters: 'aDflmNFnsXd:c:o:R:T:t', run: change.importPool },
  offline: { letters: 'ft', run: change.offline },
  online: { letters: 'e', run: change.online },
  attach: { letters: 'fswo:', run: (host, call) => change.attachDevice(host, call, 'attach') },
  replace: { letters: 'fswo:', run: (host, call) => change.attachDevice(host, call, 'replace') },
  detach: { letters: '', run: change.detachDevice },
  clear: { letters: 'nF', run: change.clear },
  scrub: { letters: 'espCw', run: change.scrub },
  wait: { letters: 'HpT:t:', run: change.wait },
  checkpoint: { letters: 'dw', run: change.checkpoint },
  history: { letters: 'il', run: history, isForAll: true },
  sync: { letters: 'f', run: checkNames },
  reopen: { letters: 'n', run: checkNames },
  trim: { letters: 'dwcsr:', run: checkNames },
};

export const zpool: Tool = async (host, argv, io) => {
  const [word = '', ...rest] = argv;
  const command = COMMANDS[word];
  try {
    if (command === undefined && isListed(zpoolUsage(undefined), word))
      throw new ToolError(`zpool ${word} is not part of this stand-in\n`);
    if (command === undefined)
      throw new GetoptError(word === '' ? 'missing command' : `unrecognized command '${word}'`);
    const call = getopt(rest, command.letters, LONG);
    if ((io.uid ?? 0) !== 0 && command.isForAll !== true) deny(word, call);
    await command.run(host, call, io);
    if (isChange(command, word))
      recordHistory(host, { dataset: poolNamed(host, call), text: `zpool ${argv.join(' ')}` });
    return 0;
  } catch (err) {
    return refusal(io, err, command === undefined ? undefined : word);
  }
};

function isChange(command: Command, word: string): boolean {
  return command.isForAll !== true && word !== 'sync' && word !== 'wait';
}

function refusal(io: ToolIo, err: unknown, command: string | undefined): number {
  if (err instanceof GetoptError) {
    io.err(`${err.message}\n${zpoolUsage(command)}`);
    return 2;
  }
  if (!(err instanceof ToolError)) throw err;
  io.err(err.message);
  return err.status;
}

function poolNamed(host: Host, call: Getopt): string {
  const { pools } = readPools(host);
  return call.operands.find((word) => pools.some((pool) => pool.name === word)) ?? '';
}

function deny(word: string, call: Getopt): never {
  throw new ToolError(`cannot ${word} '${call.operands[0] ?? ''}': permission denied\n`, 1);
}

function history(host: Host, call: Getopt, io: ToolIo): void {
  for (const { name } of chosenPools(host, call.operands)) {
    const pool = readPools(host).pools.find((entry) => entry.name === name);
    const lines = (pool?.history ?? []).map(({ time, text }) => `${historyDate(time)} ${text}\n`);
    io.out(`History for '${name}':\n${lines.join('')}\n`);
  }
}

/** `%F.%T` */
function historyDate(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}.${date.toTimeString().slice(0, 8)}`;
}
