/** 1,000 stand-in hosts with 100 guests each in one process: how long they take to make, and what they weigh. */
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FleetHost, makeFleet } from '@pxmgr/sim/fleet/fleet';
import type { Measured, Probe, ProbeOptions } from '../probe.ts';

const MIB = 1024 ** 2;
const GUESTS = 100;
/** About five times what the trees need; less, and the disk is the better place. */
const ROOM_BYTES = 12 * 1024 ** 3;
const MEMORY = '/dev/shm';

function place(): string {
  if (!existsSync(MEMORY)) return tmpdir();
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize > ROOM_BYTES ? MEMORY : tmpdir();
}

async function ask({ host, runner }: FleetHost, file: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runner.run({ file, args, purpose: 'bench', timeoutMs: 120_000 });
  if (exitCode !== 0) throw new Error(`${file} ${args.join(' ')} on ${host.name}: ${stderr}`);
  return stdout;
}

/** Lists the containers of every host and changes one of each, so that all of them have been worked with. */
async function work(hosts: readonly FleetHost[]): Promise<number> {
  let guests = 0;
  for (const member of hosts) {
    const lines = (await ask(member, 'pct', 'list')).trim().split('\n').slice(1);
    guests += lines.length;
    const vmid = lines[0]?.split(/\s+/)[0];
    if (vmid !== undefined) await ask(member, 'pct', 'set', vmid, '--tags', 'bench');
  }
  return guests;
}

async function run({ seed, quick, say }: ProbeOptions): Promise<readonly Measured[]> {
  const count = quick ? 16 : 1000;
  const folder = mkdtempSync(join(place(), 'pxmgr-fleet-'));
  const began = performance.now();
  const cpu = process.cpuUsage();
  const fleet = await makeFleet(join(folder, 'fleet'), { seed, hosts: count, guestsPerHost: GUESTS });
  try {
    const made = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const cpuSeconds = (user + system) / 1e6;
    say(`${String(count)} hosts made in ${made.toFixed(0)} s (${cpuSeconds.toFixed(0)} s of processor), at ${folder}`);
    const afterMaking = process.memoryUsage().rss / MIB;
    const working = performance.now();
    const guests = await work(fleet.hosts);
    const worked = (performance.now() - working) / 1000;
    const peak = process.resourceUsage().maxRSS / 1024;
    const detail = [
      `${String(count)} hosts x ${String(GUESTS)} guests (${String(guests)} containers) in one process`,
      `made in ${made.toFixed(0)} s (${cpuSeconds.toFixed(0)} s of processor)`,
      `resident then ${afterMaking.toFixed(0)} MB, at most ${peak.toFixed(0)} MB`,
      `two tools on every host in ${worked.toFixed(0)} s`,
    ].join('; ');
    return [
      { name: 'sim-fleet', value: peak, detail },
      {
        name: 'sim-fleet-made',
        value: made,
        detail: `${String(count)} hosts; ${cpuSeconds.toFixed(0)} s of processor`,
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const simFleet: Probe = { names: ['sim-fleet', 'sim-fleet-made'], run };
