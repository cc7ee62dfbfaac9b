/** `lxc-info` for guests of the stand-in, whichever runtime they have: the published state is all it needs. */
import { existsSync } from 'node:fs';
import { runningGuest } from '../running.ts';
import type { Tool } from '../tool.ts';
import { GetoptError, getopt, has, last } from './getopt.ts';

const LONG = { pid: 'p', state: 's', 'no-humanize': 'H', ips: 'i' } as const;

export const lxcInfo: Tool = async (host, argv, io) => {
  try {
    const call = getopt(argv, 'n:P:psHiSc:', LONG);
    const name = last(call, 'n') ?? call.operands[0];
    if (name === undefined) {
      io.err('lxc-info: missing container name, use --name option\n');
      return 1;
    }
    const running = /^\d+$/.test(name) ? runningGuest(host, Number(name)) : undefined;
    const isKnown = running?.kind === 'lxc' || existsSync(host.clusterPath('nodes', host.name, 'lxc', `${name}.conf`));
    if (!isKnown) {
      io.err(`${name} doesn't exist\n`);
      return 1;
    }
    const isUp = running?.kind === 'lxc';
    const all = !has(call, 'p') && !has(call, 's') && !has(call, 'i');
    const line = (label: string, value: string): string =>
      has(call, 'H') ? `${value}\n` : `${`${label}:`.padEnd(16)}${value}\n`;
    if (all) io.out(line('Name', name));
    if (all || has(call, 's')) io.out(line('State', isUp ? 'RUNNING' : 'STOPPED'));
    if ((all || has(call, 'p')) && isUp) io.out(line('PID', String(running.pid)));
    return 0;
  } catch (err) {
    if (!(err instanceof GetoptError)) throw err;
    io.err(`lxc-info: ${err.message}\n`);
    return 1;
  }
};
