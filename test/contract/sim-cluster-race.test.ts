/** Real processes on several nodes of one cluster that want the same ids at the same time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { faultsOf, setFaults } from '../../packages/sim/src/call/fault.ts';
import { readCluster } from '../../packages/sim/src/cluster/pmxcfs.ts';
import { installTools } from '../../packages/sim/src/door/exec.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../../packages/sim/src/host.fixture.ts';
import { buildSimBundle, type SimBundle } from './sim-bundle.ts';

const NAMES = ['pve1', 'pve2', 'pve3', 'pve4'];
const IDS = [280, 281, 282, 283];

let bundle: SimBundle;
let clusterDir: string;
let nodes: TestHost[];
beforeAll(async () => {
  bundle = await buildSimBundle();
  clusterDir = mkdtempSync(join(tmpdir(), 'pxmgr-cluster-'));
  nodes = NAMES.map((name, i) => makeHost({ name, clusterDir, ip: `192.0.2.${String(i + 1)}` }));
  for (const node of nodes) installTools(node.host.root, { bundle: bundle.path });
});
afterAll(() => {
  for (const node of nodes) node.remove();
  rmSync(clusterDir, { recursive: true, force: true });
  bundle.remove();
});

interface Ended {
  readonly name: string;
  readonly vmid: number;
  readonly code: number | null;
  readonly stderr: string;
}

async function pct(node: TestHost, vmid: number, args: readonly string[]): Promise<Ended> {
  const child = spawn(node.host.path('/bin/pct'), args, { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { name: node.host.name, vmid, code, stderr };
}

const create = (node: TestHost, vmid: number): Promise<Ended> =>
  pct(node, vmid, [
    ...['create', String(vmid), SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged', '--arch', 'amd64'],
  ]);

function volumesOf(node: TestHost, vmid: number): string[] {
  const folder = node.host.path(`/var/lib/vz/images/${String(vmid)}`);
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Exactly one of them has the id; the others say whose it is, and nothing of theirs stays. */
function expectOneWinner(vmid: number, ended: readonly Ended[]): void {
  const winners = ended.filter(({ code }) => code === 0);
  expect(winners.map(({ stderr }) => stderr)).toEqual(['']);
  const winner = winners[0]?.name ?? '';
  const taken = `CT ${String(vmid)} already exists on node '${winner}'\n`;
  for (const loser of ended.filter(({ name }) => name !== winner)) {
    // Found before anything was done, or when the id was to be reserved.
    const said = loser.code === 2 ? taken : `unable to create CT ${String(vmid)} - ${taken}`;
    expect([loser.code === 2 || loser.code === 255, loser.stderr]).toEqual([true, said]);
  }
  for (const node of nodes)
    expect([node.host.name, volumesOf(node, vmid).length]).toEqual([node.host.name, node.host.name === winner ? 1 : 0]);
  const first = nodes[0] as TestHost;
  expect(readCluster(first.host).guests[String(vmid)]?.node).toBe(winner);
  const holders = NAMES.filter((name) => existsSync(join(clusterDir, 'nodes', name, 'lxc', `${String(vmid)}.conf`)));
  expect(holders).toEqual([winner]);
}

describe('sixteen creates at once, four nodes and four ids', () => {
  it('give every id to exactly one node', { timeout: 300_000 }, async () => {
    const ended = await Promise.all(IDS.flatMap((vmid) => nodes.map((node) => create(node, vmid))));
    for (const vmid of IDS)
      expectOneWinner(
        vmid,
        ended.filter((one) => one.vmid === vmid),
      );
  });
});

describe('an id that is taken while a create is between its check and its reservation', () => {
  it('is found late, with the text of the late find', { timeout: 120_000 }, async () => {
    const [a, b] = nodes as [TestHost, TestHost];
    setFaults(b.host, [{ at: 'pct create', point: 'before-lock', vmid: 290, do: 'hang' }]);
    const waiting = b.run('pct', 'create', '290', SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged');
    await vi.waitUntil(() => faultsOf(b.host)[0]?.done === 1, { timeout: 60_000 });
    expect((await create(a, 290)).code).toBe(0);
    setFaults(b.host, []);
    expect(await waiting).toMatchObject({
      status: 255,
      stderr: "unable to create CT 290 - CT 290 already exists on node 'pve1'\n",
    });
    expect(volumesOf(b, 290)).toEqual([]);
  });
});

describe('clones to one new id from several nodes at once', () => {
  it('leave one clone, and no source locked', { timeout: 300_000 }, async () => {
    const sources = nodes.map((_, i) => 300 + i);
    for (const [i, node] of nodes.entries()) expect((await create(node, sources[i] ?? 0)).code).toBe(0);
    const ended = await Promise.all(
      nodes.map((node, i) => pct(node, 310, ['clone', String(sources[i]), '310', '--full', '1'])),
    );
    const winners = ended.filter(({ code }) => code === 0).map(({ name }) => name);
    expect(winners).toHaveLength(1);
    for (const loser of ended.filter(({ code }) => code !== 0))
      expect(loser.stderr).toContain(`CT 310 already exists on node '${winners[0] ?? ''}'\n`);
    for (const [i, node] of nodes.entries())
      expect((await node.run('pct', 'config', String(sources[i]))).stdout).not.toContain('lock:');
  });
});
