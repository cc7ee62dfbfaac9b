import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { setSwitches } from '../call/fault.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { bumpTasklist, findGuest, syncCluster } from './pmxcfs.ts';

const made: { remove(): void }[] = [];
afterEach(() => {
  for (const host of made.splice(0)) host.remove();
});

function cluster(...names: string[]): TestHost[] {
  const clusterDir = mkdtempSync(join(tmpdir(), 'pxmgr-cluster-'));
  made.push({ remove: () => rmSync(clusterDir, { recursive: true, force: true }) });
  return names.map((name, i) => {
    const host = makeHost({ name, clusterDir, ip: `192.0.2.${i + 1}` });
    made.push(host);
    return host;
  });
}

const dot = (host: TestHost, file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(host.host.path(`/etc/pve/${file}`), 'utf8')) as Record<string, unknown>;
const create = (host: TestHost, vmid: number): ReturnType<TestHost['run']> =>
  host.run(
    'pct',
    'create',
    String(vmid),
    SMALL_TEMPLATE,
    '--rootfs',
    'local:0.01',
    '--ostype',
    'unmanaged',
    '--arch',
    'amd64',
  );

describe('cluster file system', () => {
  it('refuses an id that another node has, and leaves nothing behind', async () => {
    const [a, b] = cluster('pve1', 'pve2') as [TestHost, TestHost];
    expect((await create(a, 120)).status).toBe(0);
    const second = await create(b, 120);
    expect(second).toMatchObject({ status: 2, stderr: "CT 120 already exists on node 'pve1'\n" });
    expect((await b.run('pvesm', 'list', 'local', '--vmid', '120')).stdout).not.toContain('local:120/');
    expect(findGuest(b.host, 120)).toMatchObject({ node: 'pve1', type: 'lxc' });
  });

  it('lets exactly one of two simultaneous creates win', async () => {
    const [a, b] = cluster('pve1', 'pve2') as [TestHost, TestHost];
    const results = await Promise.all([create(a, 130), create(b, 130)]);
    expect(results.map((r) => r.status).filter((status) => status === 0)).toHaveLength(1);
  });

  it('shows every change in the counters of every node', async () => {
    const [a, b] = cluster('pve1', 'pve2') as [TestHost, TestHost];
    const before = dot(b, '.version');
    await create(a, 121);
    const after = dot(b, '.version') as { vmlist: number; kvstore: Record<string, { tasklist: number }> };
    expect(after.vmlist).toBeGreaterThan(Number(before['vmlist']));
    expect(after.kvstore['pve1']?.tasklist).toBe(3);
    expect(dot(b, '.vmlist')).toMatchObject({ ids: { 121: { node: 'pve1', type: 'lxc' } } });
    bumpTasklist(b.host);
    expect((dot(a, '.version') as typeof after).kvstore['pve2']?.tasklist).toBe(2);
  });

  it('counts nothing that it does not show yet', () => {
    const [a] = cluster('pve1') as [TestHost];
    const before = dot(a, '.version');
    rmSync(a.host.path('/etc/pve/.vmlist'));
    mkdirSync(a.host.path('/etc/pve/.vmlist'));
    writeFileSync(a.host.path('/etc/pve/lxc/123.conf'), 'arch: amd64\n');
    expect(() => {
      syncCluster(a.host);
    }).toThrow('EISDIR');
    expect(dot(a, '.version')).toEqual(before);
  });

  it('finds a file that somebody else replaced by a rename', async () => {
    const [a] = cluster('pve1') as [TestHost];
    await create(a, 122);
    const versionOf = (): number =>
      (dot(a, '.vmlist') as { ids: Record<string, { version: number }> }).ids['122']?.version ?? 0;
    const before = versionOf();
    const file = a.host.path('/etc/pve/lxc/122.conf');
    writeFileSync(`${file}.tmp.1`, readFileSync(file, 'utf8').replace('memory: 512', 'memory: 600'));
    expect(versionOf()).toBe(before);
    renameSync(`${file}.tmp.1`, file);
    syncCluster(a.host);
    expect(versionOf()).toBeGreaterThan(before);
  });

  it('is read-only without quorum', async () => {
    const [a] = cluster('pve1', 'pve2') as [TestHost];
    await create(a, 123);
    setSwitches(a.host, { noQuorum: true });
    bumpTasklist(a.host);
    expect(dot(a, '.members')).toMatchObject({ cluster: { quorate: 0 } });
    expect((await create(a, 124)).stderr).toBe('cluster not ready - no quorum?\n');
    const set = await a.run('pct', 'set', '123', '--cores', '1');
    expect(set.status).toBe(2);
    expect(set.stderr).toMatch(
      /^unable to open file '\/etc\/pve\/nodes\/pve1\/lxc\/123\.conf\.tmp\.\d+' - Permission denied\n$/,
    );
    expect((await a.run('pct', 'config', '123')).status).toBe(0);
  });
});
