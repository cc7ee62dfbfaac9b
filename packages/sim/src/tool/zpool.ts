/** `zpool` of the stand-in (openzfs/zfs cmd/zpool/zpool_main.c); createPool makes the pools that a host starts with. */

import { type Tool, ToolError, type ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { recordHistory } from '../pool/history.ts';
import { readPools } from '../pool/state.ts';
import { type Getopt, GetoptError, getopt, has } from './getopt.ts';
import { isListed } from './zfs-arguments.ts';
import { versionText } from './zfs-commands.ts';
import * as change from './zpool-change.ts';
import { create } from './zpool-create.ts';
import { denyPool } from './zpool-denied.ts';
import * as device from './zpool-devices.ts';
import { get, list, set } from './zpool-list.ts';
import { chosenPools } from './zpool-pools.ts';
import { iostat, split } from './zpool-refused.ts';
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
  list: { letters: ':gHLpPvjo:T:', run: list, isForAll: true },
  status: { letters: 'DdegiLPpstvxjc:T:', run: status, isForAll: true },
  get: { letters: ':Hpjo:', run: get, isForAll: true },
  set: { letters: '', run: set },
  create: { letters: ':fndo:O:m:R:t:', run: create },
  destroy: { letters: 'f', run: change.destroy, isForAll: true },
  add: { letters: 'fgLno:P', run: device.add },
  remove: { letters: 'npsw', run: device.remove },
  labelclear: { letters: 'f', run: device.labelclear },
  resilver: { letters: '', run: device.resilver },
  initialize: { letters: 'csuw', run: device.fillFreeSpace },
  reguid: { letters: 'g:', run: device.reguid },
  export: { letters: 'afF', run: change.exportPool },
  import: { letters: ':aDflmNFnsXd:c:o:R:T:t', run: change.importPool },
  offline: { letters: 'ft', run: change.offline },
  online: { letters: 'e', run: change.online },
  attach: { letters: 'fswo:', run: (host, call) => change.attachDevice(host, call, 'attach') },
  replace: { letters: 'fswo:', run: (host, call) => change.attachDevice(host, call, 'replace') },
  detach: { letters: '', run: change.detachDevice },
  clear: { letters: 'nF', run: change.clear },
  scrub: { letters: 'espCw', run: change.scrub },
  wait: { letters: 'HpT:t:', run: change.wait },
  checkpoint: { letters: 'dw', run: change.checkpoint },
  history: { letters: 'il', run: history },
  iostat: { letters: 'c:gLPT:vyhplqrwnH', run: iostat, isForAll: true },
  split: { letters: ':gLR:lno:P', run: split },
  sync: { letters: 'f', run: checkNames },
  upgrade: { letters: ':aV:v', run: upgrade },
  reopen: { letters: 'n', run: checkNames },
  trim: { letters: 'dwcsr:', run: device.fillFreeSpace },
};

export const zpool: Tool = async (host, argv, io) => {
  const [word = '', ...rest] = argv;
  const command = COMMANDS[word];
  try {
    if (command === undefined) throw unknown(word);
    const call = getopt(rest, command.letters, LONG);
    if ((io.uid ?? 0) !== 0 && command.isForAll !== true) denyPool(host, word, call);
    await command.run(host, call, io);
    if (isChange(command, word))
      recordHistory(host, { dataset: poolNamed(host, call), text: `zpool ${argv.join(' ')}` });
    return 0;
  } catch (err) {
    return refusal(io, err, command === undefined ? undefined : word);
  }
};

function unknown(word: string): Error {
  if (word === '') return new GetoptError('missing command');
  if (isListed(zpoolUsage(undefined), word)) return new ToolError(`zpool ${word} is not part of this stand-in\n`);
  return new GetoptError(`unrecognized command '${word}'`);
}

function isChange(command: Command, word: string): boolean {
  return command.isForAll !== true && !['sync', 'wait', 'history'].includes(word);
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

/** Every pool of the stand-in has all features. */
function upgrade(host: Host, call: Getopt, io: ToolIo): void {
  if (has(call, 'v')) throw new ToolError('zpool upgrade -v is not part of this stand-in\n');
  const pools = call.operands.length === 0 ? [] : chosenPools(host, call.operands);
  const done = 'already has all supported and requested features enabled.\n';
  const all = has(call, 'a')
    ? `All pools are already formatted using feature flags.\n\nEvery feature flags pool ${done}`
    : 'All pools are formatted using feature flags.\n\nEvery feature flags pool has all supported and requested features enabled.\n';
  const own = pools.map(({ name }) => `Pool '${name}' ${done}`).join('');
  io.out(`This system supports ZFS pool feature flags.\n\n${own === '' ? all : own}`);
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
