import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCluster } from '../cluster/pmxcfs.ts';
import { type Fleet, type FleetHost, makeFleet } from './fleet.ts';
import { type FleetSize, planHost } from './plan.ts';

/** Tens of thousands of small files: in memory where there is such a place. */
const PLACE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const made: (() => void)[] = [];
afterAll(() => {
  for (const remove of made.splice(0)) remove();
}, 300_000);

async function fleetOf(size: FleetSize): Promise<Fleet> {
  const folder = mkdtempSync(join(PLACE, 'pxmgr-fleet-'));
  made.push(() => rmSync(folder, { recursive: true, force: true }));
  return makeFleet(join(folder, 'fleet'), size);
}

/** Names, kinds, modes and bytes of everything a node shows; not the stand-in's own record. */
function printOf(fleet: Fleet): string {
  const hash = createHash('sha256');
  const walk = (folder: string, name: string): void => {
    for (const entry of readdirSync(folder).sort()) {
      if (entry === '.sim') continue;
      const path = join(folder, entry);
      const stat = lstatSync(path);
      hash.update(`${name}/${entry} ${stat.mode} ${stat.isFile() ? stat.size : ''}\n`);
      if (stat.isDirectory()) walk(path, `${name}/${entry}`);
      else if (stat.isSymbolicLink()) hash.update(readlinkSync(path));
      else if (stat.isFile() && stat.size < 1_000_000) hash.update(readFileSync(path));
    }
  };
  const places = new Set(fleet.hosts.flatMap(({ host }) => [host.root, host.sharedDir]));
  for (const [i, place] of [...places].entries()) walk(place, String(i));
  return hash.digest('hex');
}

const tool = ({ runner }: FleetHost, file: string, ...args: string[]): ReturnType<typeof runner.run> =>
  runner.run({ file, args, purpose: 'test', timeoutMs: 60_000 });

describe('a plan', () => {
  it('follows from the seed and the number of the host', () => {
    const size = { seed: 7, hosts: 100, guestsPerHost: 10 };
    const hosts = Array.from({ length: 100 }, (_, i) => planHost(size, i));
    expect(planHost(size, 42)).toEqual(hosts[42]);
    expect(planHost({ ...size, seed: 8 }, 42)).not.toEqual(hosts[42]);
    const clusters = [...new Set(hosts.map((host) => host.cluster))].filter((cluster) => cluster !== undefined);
    expect(clusters.length).toBeGreaterThan(3);
    expect(hosts.some((host) => host.cluster === undefined)).toBe(true);
    for (const cluster of clusters) {
      const members = hosts.filter((host) => host.cluster === cluster);
      const vmids = members.flatMap((host) => host.guests.map((guest) => guest.vmid));
      expect([members.length, new Set(vmids).size]).toEqual([8, 80]);
    }
    expect(hosts.some((host) => host.gpu !== undefined)).toBe(true);
  });
});

describe('a fleet of 50 hosts with 100 guests each', () => {
  it('is the same, byte for byte, for the same seed, and answers on any host', { timeout: 300_000 }, async () => {
    const size = { seed: 20260101, hosts: 50, guestsPerHost: 100 };
    const [one, other] = [await fleetOf(size), await fleetOf(size)];
    expect(printOf(one)).toBe(printOf(other));

    const clustered = one.hosts.find((host) => host.cluster !== undefined);
    const alone = one.hosts.findLast((host) => host.cluster === undefined);
    if (clustered === undefined || alone === undefined) throw new Error('the seed gives no cluster or no host alone');
    expect(Object.keys(readCluster(clustered.host).guests)).toHaveLength(800);
    expect(Object.keys(readCluster(alone.host).guests)).toHaveLength(100);
    for (const member of [clustered, alone]) await answers(member, size);
  });

  async function answers(member: FleetHost, size: FleetSize): Promise<void> {
    const plan = planHost(size, Number(member.host.name.slice('pve'.length)) - 1);
    const containers = plan.guests.filter((guest) => guest.kind === 'lxc');
    const list = (await tool(member, 'pct', 'list')).stdout.trim().split('\n').slice(1);
    expect(list).toHaveLength(containers.length);
    expect(list.filter((line) => / running /.test(line))).toHaveLength(containers.filter((g) => g.isRunning).length);
    const stopped = String(containers.find((guest) => !guest.isRunning)?.vmid ?? 0);
    const started = await tool(member, 'pct', 'start', stopped);
    expect([started.exitCode, started.stderr]).toEqual([0, '']);
    expect((await tool(member, 'pct', 'set', stopped, '--cores', '3')).exitCode).toBe(0);
    expect((await tool(member, 'pct', 'config', stopped)).stdout).toContain('cores: 3\n');
    const vms = (await tool(member, 'qm', 'list')).stdout.trim().split('\n').slice(1);
    expect(vms).toHaveLength(plan.guests.length - containers.length);
    const local = (await tool(member, 'pvesm', 'list', 'local')).stdout.trim().split('\n').slice(1);
    expect(local).toHaveLength(plan.guests.filter((guest) => guest.storage === 'local').length);
  }
});
