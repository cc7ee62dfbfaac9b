import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { setSwitches } from '../call/switches.ts';
import { cutNode, healNode } from '../cluster/membership.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';

const made: { remove(): void }[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const one of made.splice(0)) one.remove();
});

function twoNodes(): [TestHost, TestHost] {
  const clusterDir = mkdtempSync(join(tmpdir(), 'pxmgr-cluster-'));
  const nodes = ['pve1', 'pve2'].map((name) => makeHost({ name, clusterDir }));
  for (const node of nodes) setSwitches(node.host, { waitScale: 0 });
  made.push(...nodes, { remove: () => rmSync(clusterDir, { recursive: true, force: true }) });
  return nodes as [TestHost, TestHost];
}

type Row = Readonly<Record<string, unknown>>;

async function rowsOf(node: TestHost): Promise<Map<unknown, Row>> {
  const { stdout } = await node.run('pvesh', 'get', '/cluster/resources', '--output-format', 'json');
  return new Map((JSON.parse(stdout) as Row[]).map((row) => [row['id'], row]));
}

describe('what a node reported', () => {
  it('is shown for five minutes after it went offline, as it was', async () => {
    const [pve1, pve2] = twoNodes();
    await pve2.run('pct', 'create', '100', SMALL_TEMPLATE, '--rootfs', 'local:0.05');
    await pve2.run('pct', 'start', '100');
    cutNode(pve2.host);
    made.unshift({ remove: () => healNode(pve2.host) });
    await pve2.run('pct', 'stop', '100');
    const soon = await rowsOf(pve1);
    expect(soon.get('node/pve2')).toMatchObject({ status: 'offline', maxcpu: 4 });
    expect(soon.get('lxc/100')).toMatchObject({ status: 'running', template: 0 });
    expect(soon.get('storage/pve2/local')).toMatchObject({ status: 'available' });

    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 301_000 });
    const later = await rowsOf(pve1);
    expect(later.get('node/pve2')).toEqual({ id: 'node/pve2', node: 'pve2', type: 'node', status: 'offline' });
    expect(later.get('lxc/100')).toEqual({ id: 'lxc/100', node: 'pve2', type: 'lxc', vmid: 100, status: 'unknown' });
    expect(later.get('storage/pve2/local')).toMatchObject({ status: 'unknown' });
  });

  it('has the same fields for VMs, and the ids in the order of their text', async () => {
    const [pve1, pve2] = twoNodes();
    for (const vmid of ['1000', '300']) await pve2.run('qm', 'create', vmid, '--name', `v${vmid}`, '--tags', 'a');
    await pve2.run('qm', 'start', '300');
    const rows = await rowsOf(pve1);
    expect([...rows.keys()].filter((id) => String(id).startsWith('qemu/'))).toEqual(['qemu/1000', 'qemu/300']);
    const { uptime: _uptime, ...shown } = rows.get('qemu/300') ?? {};
    const counters = { cpu: 0, disk: 0, diskread: 0, diskwrite: 0, mem: 0, memhost: 0, netin: 0, netout: 0 };
    expect(shown).toEqual({
      ...{ id: 'qemu/300', vmid: 300, type: 'qemu', node: 'pve2', name: 'v300', status: 'running', tags: 'a' },
      ...{ template: 0, maxcpu: 1, maxmem: 512 * 2 ** 20, maxdisk: 0, ...counters },
    });
  });
});
