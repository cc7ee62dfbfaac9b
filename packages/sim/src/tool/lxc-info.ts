/** `lxc-info` for guests of the stand-in, whichever runtime they have: the published state is all it needs. */
import { existsSync } from 'node:fs';
import type { Tool } from '../call/tool.ts';
import { runningGuest } from '../host/running.ts';
import { type Getopt, GetoptError, getopt, has, last } from './getopt.ts';

const LONG = { pid: 'p', state: 's', 'no-humanize': 'H', ips: 'i' } as const;

export const lxcInfo: Tool = async (host, argv, io) => {
  try {
    const call = getopt(argv, ':n:P:psHiSc:', LONG);
    const name = last(call, 'n') ?? call.operands[0];
    if (name === undefined) throw new GetoptError('missing container name, use --name option');
    const running = /^\d+$/.test(name) ? runningGuest(host, Number(name)) : undefined;
    const pid = running?.kind === 'lxc' ? running.pid : undefined;
    if (pid === undefined && !existsSync(host.clusterPath('nodes', host.name, 'lxc', `${name}.conf`))) {
      io.err(`${name} doesn't exist\n`);
      return 1;
    }
    io.out(report(call, name, pid));
    return 0;
  } catch (err) {
    if (!(err instanceof GetoptError)) throw err;
    io.err(`lxc-info: ${err.message}\n`);
    return 1;
  }
};

/** Everything, or only what was asked for; a stopped guest has no process id to show. */
function report(call: Getopt, name: string, pid: number | undefined): string {
  const isAll = ['p', 's', 'i'].every((letter) => !has(call, letter));
  const line = (label: string, value: string): string =>
    has(call, 'H') ? `${value}\n` : `${`${label}:`.padEnd(16)}${value}\n`;
  const lines = [
    isAll ? line('Name', name) : '',
    isAll || has(call, 's') ? line('State', pid === undefined ? 'STOPPED' : 'RUNNING') : '',
    (isAll || has(call, 'p')) && pid !== undefined ? line('PID', String(pid)) : '',
  ];
  return lines.join('');
}
