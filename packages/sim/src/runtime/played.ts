/**
 * The played runtime: a guest has states and addresses to look at, but no process. Good for fleets and for tests of
 * everything around a guest; what happens inside one needs the `lxc` runtime.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { scaledWait, switchesOf } from '../call/switches.ts';
import type { Host } from '../host/host.ts';
import { publishRunning, publishStopped, runningGuest } from '../host/running.ts';
import { parsePropertyString } from '../schema/value.ts';
import { playedFailure } from './played-failure.ts';
import type { GuestRuntime, StartContext, StartResult } from './runtime.ts';

/** Above every pid a Linux machine gives, so a played init never hits a real process. */
const FIRST_PID = 5_000_000;

async function start(context: StartContext): Promise<StartResult> {
  const { host, vmid, config } = context;
  const failure = await playedFailure(context);
  if (failure !== undefined) return { ok: false, error: failure };
  playGuests(host, [{ vmid, kind: 'lxc', values: config.values, since: Math.floor(Date.now() / 1000) }]);
  return { ok: true, pid: FIRST_PID + vmid };
}

export interface PlayedGuest {
  readonly vmid: number;
  readonly kind: 'lxc' | 'qemu';
  readonly values: ReadonlyMap<string, string>;
  /** UNIX seconds. */
  readonly since: number;
}

/** From now on these run, many in one step. */
export function playGuests(host: Host, guests: readonly PlayedGuest[]): void {
  for (const { vmid, kind, values, since } of guests) {
    writeProcess(host, FIRST_PID + vmid, {
      command: kind === 'qemu' ? `/usr/bin/kvm -id ${vmid}` : (values.get('entrypoint') ?? '/sbin/init'),
      addresses: kind === 'qemu' ? [] : addressesOf(vmid, values),
      since,
    });
  }
  const running = guests.map(({ vmid, kind, since }) => ({
    vmid,
    kind,
    pid: FIRST_PID + vmid,
    since: since * 1000,
    isPlayed: true,
  }));
  publishRunning(host, ...running);
}

function writeProcess(
  host: Host,
  pid: number,
  process: { command: string; addresses: readonly string[]; since: number },
): void {
  const folder = host.path(`/proc/${pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(`${folder}/net`, { recursive: true });
  writeFileSync(`${folder}/cmdline`, `${process.command.split(/\s+/).join('\0')}\0`);
  writeFileSync(`${folder}/stat`, `${pid} (init) S ${'0 '.repeat(18)}${process.since * 100} 0 0\n`);
  const leaf = (address: string): string => `           |-- ${address}\n              /32 host LOCAL\n`;
  writeFileSync(
    `${folder}/net/fib_trie`,
    `Local:\n  +-- 0.0.0.0/0 3 0 5\n${['127.0.0.1', ...process.addresses].map(leaf).join('')}`,
  );
  for (const table of ['tcp', 'tcp6'])
    writeFileSync(
      `${folder}/net/${table}`,
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n',
    );
  writeFileSync(`${folder}/net/if_inet6`, '00000000000000000000000000000001 01 80 10 80       lo\n');
}

/** Fixed addresses as given; a DHCP interface gets one that follows from the vmid (TEST-NET-2). */
function addressesOf(vmid: number, values: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [key, text] of values) {
    if (!/^net\d+$/.test(key)) continue;
    const ip = parsePropertyString('lxc.net', text)['ip'] ?? 'manual';
    if (ip === 'dhcp') found.push(`198.51.100.${(vmid % 250) + 2}`);
    else if (ip !== 'manual') found.push(ip.split('/')[0] ?? ip);
  }
  return found;
}

export const playedRuntime: GuestRuntime = {
  kind: 'played',
  start,
  stop: async (host, vmid) => publishStopped(host, vmid),
  shutdown: async (host, vmid, options) => {
    if (switchesOf(host).ignoreHalt?.includes(vmid) === true) {
      await sleep(scaledWait(host, options.timeoutMs), undefined, { signal: options.signal }).catch(() => undefined);
      return runningGuest(host, vmid) === undefined;
    }
    const haltMs = switchesOf(host).haltMs ?? 0;
    await sleep(scaledWait(host, Math.min(haltMs, options.timeoutMs)), undefined, { signal: options.signal }).catch(
      () => undefined,
    );
    if (haltMs > options.timeoutMs) return false;
    publishStopped(host, vmid);
    return true;
  },
  exec: async (_host, _vmid, request) => {
    const { io, argv } = request;
    if (argv[0] === 'true') return 0;
    if (argv[0] === 'false') return 1;
    if (argv[0] === 'echo') {
      io.out(`${argv.slice(1).join(' ')}\n`);
      return 0;
    }
    io.err(`played: no process runs in this guest, so '${argv[0] ?? ''}' cannot be executed\n`);
    return 126;
  },
  isRunning: async (host, vmid) => runningGuest(host, vmid) !== undefined,
};
