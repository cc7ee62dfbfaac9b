import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { faultsOf, setFaults } from '../call/fault.ts';
import { setSwitches } from '../call/switches.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { cutNode, healNode, noticeIn, restartPmxcfs, startPmxcfs, stopPmxcfs, waitForNotice } from './membership.ts';
import { readPveFile, syncCluster, writePveFile } from './pmxcfs.ts';

const made: { remove(): void }[] = [];
afterEach(() => {
  for (const host of made.splice(0)) host.remove();
});

/** Three nodes of one cluster; nothing on them waits long. */
function cluster(): [TestHost, TestHost, TestHost] {
  const clusterDir = mkdtempSync(join(tmpdir(), 'pxmgr-cluster-'));
  made.push({ remove: () => rmSync(clusterDir, { recursive: true, force: true }) });
  const nodes = ['pve1', 'pve2', 'pve3'].map((name, i) => {
    const node = makeHost({ name, clusterDir, ip: `192.0.2.${i + 1}` });
    setSwitches(node.host, { waitScale: 0 });
    made.unshift({
      remove: () => {
        healNode(node.host);
        node.remove();
      },
    });
    return node;
  });
  return nodes as [TestHost, TestHost, TestHost];
}

interface Version {
  readonly starttime: number;
  readonly clinfo: number;
  readonly vmlist: number;
  readonly 'storage.cfg': number;
  readonly kvstore: Readonly<Record<string, { readonly tasklist?: number }>>;
}
interface VmList {
  readonly version: number;
  readonly ids?: Readonly<Record<string, { readonly node: string; readonly version: number }>>;
}
interface Members {
  readonly version: number;
  readonly cluster: { readonly quorate: number };
  readonly nodelist: Readonly<Record<string, { readonly online: number }>>;
}

function dot(node: TestHost, file: string): unknown {
  return JSON.parse(readFileSync(node.host.path(`/etc/pve/${file}`), 'utf8'));
}
const version = (node: TestHost): Version => dot(node, '.version') as Version;
const vmlist = (node: TestHost): VmList => dot(node, '.vmlist') as VmList;
const members = (node: TestHost): Members => dot(node, '.members') as Members;
const online = (node: TestHost): string =>
  Object.values(members(node).nodelist)
    .map((m) => m.online)
    .join('');

const createArgs = (vmid: number): string[] => [
  ...['create', String(vmid), SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged', '--arch', 'amd64'],
];
async function create(node: TestHost, vmid: number): Promise<void> {
  expect((await node.run('pct', ...createArgs(vmid))).stderr).toBe('');
}
const DENIED = (vmid: number): RegExp =>
  new RegExp(`^unable to open file '/etc/pve/nodes/pve3/lxc/${vmid}\\.conf\\.tmp\\.\\d+' - Permission denied\n$`);
const image = (node: TestHost, vmid: number): string =>
  node.host.path(`/var/lib/vz/images/${vmid}/vm-${vmid}-disk-0.raw`);

/** `look`: 0 rest, 1 look, 2 end. `cuts` counts what it saw begin, `blind` what it saw of a node that is cut off and quorate. */
interface Looking {
  readonly look: Int32Array;
  readonly cuts: Int32Array;
  readonly blind: Int32Array;
}
/** Looks all the time, as a tool does that waits: is the cut still to be noticed, and if not, is there quorum? */
const LOOKER = `const { existsSync, readFileSync } = require('node:fs');
const { cut, switches, look, cuts, blind } = require('node:worker_threads').workerData;
let isCut = false;
while (Atomics.load(look, 0) !== 2) {
  if (Atomics.load(look, 0) === 0) isCut = false;
  else if (existsSync(cut)) {
    if (!isCut) Atomics.add(cuts, 0, 1);
    isCut = true;
  } else if (isCut && !readFileSync(switches, 'utf8').includes('"noQuorum": true') && Atomics.load(look, 0) === 1)
    Atomics.add(blind, 0, 1);
}`;

describe('a node that is cut off', () => {
  it('shows no quorum and the others as offline, and lost its right to write; the others count only it as gone', () => {
    const [a, , c] = cluster();
    const before = [members(a).version, members(c).version];
    cutNode(c.host);
    expect([members(c).cluster.quorate, online(c)]).toEqual([0, '001']);
    expect([members(a).cluster.quorate, online(a)]).toEqual([1, '110']);
    expect([members(a).version, members(c).version]).toEqual(before.map((n) => n + 1));
    expect(statSync(c.host.path('/etc/pve/nodes/pve3/lxc')).mode & 0o777).toBe(0o555);
    expect(statSync(a.host.path('/etc/pve/nodes/pve1/lxc')).mode & 0o200).toBe(0o200);
  });

  it('reads, stops guests and allocates volumes, and refuses everything that writes a config', async () => {
    const [, , c] = cluster();
    await create(c, 273);
    await create(c, 274);
    await c.run('pct', 'start', '273');
    cutNode(c.host);
    const noQuorum = { status: 255, stderr: 'cluster not ready - no quorum?\n' };
    expect((await c.run('pct', 'config', '273')).status).toBe(0);
    expect((await c.run('pct', 'stop', '273')).status).toBe(0);
    expect(await c.run('pct', 'start', '273')).toMatchObject(noQuorum);
    expect(await c.run('pct', ...createArgs(277))).toMatchObject(noQuorum);
    expect(await c.run('pct', 'clone', '274', '278')).toMatchObject(noQuorum);
    const set = await c.run('pct', 'set', '274', '--cores', '1');
    expect([set.status, set.stderr]).toEqual([2, expect.stringMatching(DENIED(274))]);
    expect((await c.run('pvesm', 'alloc', 'local', '274', '', '4M')).status).toBe(0);
  });

  it('deletes the volumes of a guest and then fails to remove it', async () => {
    const [, , c] = cluster();
    await create(c, 274);
    cutNode(c.host);
    const destroyed = await c.run('pct', 'destroy', '274');
    expect([destroyed.status, destroyed.stderr]).toEqual([255, expect.stringMatching(DENIED(274))]);
    expect(existsSync(image(c, 274))).toBe(false);
    expect(readFileSync(c.host.path('/etc/pve/lxc/274.conf'), 'utf8')).toContain('vm-274-disk-0.raw');
  });

  it('asks for a cluster lock nine times before it says why not', async () => {
    const [, , c] = cluster();
    cutNode(c.host);
    const added = await c.run('pvesm', 'add', 'dir', 'sx', '--path', '/mnt/sx');
    expect(added.status).toBe(13);
    expect(added.stderr).toBe(
      `${"trying to acquire cfs lock 'file-storage_cfg' ...\n".repeat(9)}create storage failed: cfs-lock 'file-storage_cfg' error: no quorum!\n`,
    );
  });

  it('believes itself quorate until it notices; a write blocks until then, and nothing of it appears later', async () => {
    const [a, , c] = cluster();
    await create(c, 274);
    setSwitches(c.host, { waitScale: 0.05 });
    cutNode(c.host);
    expect(noticeIn(c.host)).toBeGreaterThan(0);
    expect(members(c).cluster.quorate).toBe(1);
    const set = await c.run('pct', 'set', '274', '--cores', '2');
    expect([set.status, set.stderr]).toEqual([2, expect.stringMatching(DENIED(274))]);
    expect(members(c).cluster.quorate).toBe(0);
    healNode(c.host);
    syncCluster(a.host);
    expect(readFileSync(c.host.path('/etc/pve/lxc/274.conf'), 'utf8')).not.toContain('cores');
  });

  it('is at no moment quorate again between the cut and healing, also to a tool that looks while it is noticed', async () => {
    const [, , c] = cluster();
    const flag = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));
    const looking: Looking = { look: flag(), cuts: flag(), blind: flag() };
    const files = { cut: c.host.simPath('cut.json'), switches: c.host.simPath('switches.json') };
    const looker = new Worker(LOOKER, { eval: true, workerData: { ...files, ...looking } });
    try {
      await once(looker, 'online');
      for (let round = 0; round < 30; round++) {
        setSwitches(c.host, { waitScale: 0.001 });
        Atomics.store(looking.look, 0, 1);
        cutNode(c.host);
        waitForNotice(c.host);
        Atomics.store(looking.look, 0, 0);
        healNode(c.host);
      }
    } finally {
      Atomics.store(looking.look, 0, 2);
      await once(looker, 'exit');
    }
    expect(looking.cuts[0]).toBeGreaterThan(0);
    expect(looking.blind[0]).toBe(0);
  });

  it('refuses a write that was let through before the cut and got its turn after it', async () => {
    const [, , c] = cluster();
    await create(c, 274);
    const path = 'nodes/pve3/lxc/274.conf';
    const before = readPveFile(c.host, path);
    vi.spyOn(c.host, 'clusterDir', 'get').mockImplementationOnce(() => {
      cutNode(c.host);
      return c.host.sharedDir;
    });
    expect(() => writePveFile(c.host, { path, text: 'hostname: late\n' })).toThrow(DENIED(274));
    expect([c.host.isCutOff, readPveFile(c.host, path)]).toEqual([true, before]);
  });

  it('keeps the lock of a create that lost quorum in the middle, also after healing', async () => {
    const [, , c] = cluster();
    setFaults(c.host, [{ at: 'pct create', point: 'mid-extract', do: 'hang' }]);
    const creating = c.run('pct', ...createArgs(277));
    await vi.waitUntil(() => faultsOf(c.host)[0]?.done === 1, { timeout: 30_000 });
    cutNode(c.host);
    c.stopCalls();
    const ended = await creating;
    expect(ended.status).toBe(255);
    expect(ended.stdout.endsWith('failed to remove config file: Permission denied\n'.repeat(2))).toBe(true);
    healNode(c.host);
    expect((await c.run('pct', 'config', '277')).stdout).toBe('lock: create\n');
    expect(await c.run('pct', 'destroy', '277')).toMatchObject({ status: 255, stderr: 'CT is locked (create)\n' });
  });

  it('takes over what the majority did meanwhile, with counters that go on', async () => {
    const [a, , c] = cluster();
    await create(a, 270);
    await create(c, 274);
    cutNode(c.host);
    const last = vmlist(c);
    await create(a, 277);
    renameSync(a.host.path('/etc/pve/nodes/pve3/lxc/274.conf'), a.host.path('/etc/pve/nodes/pve1/lxc/274.conf'));
    syncCluster(a.host);
    expect(vmlist(c)).toEqual(last);
    expect((await a.run('pct', ...createArgs(274))).stderr).toBe("CT 274 already exists on node 'pve1'\n");
    healNode(c.host);
    expect((await c.run('pct', 'config', '274')).stderr).toBe(
      "Configuration file 'nodes/pve3/lxc/274.conf' does not exist\n",
    );
    expect(vmlist(c).version).toBeGreaterThan(last.version);
    expect(Object.keys(vmlist(c).ids ?? {})).toEqual(['270', '274', '277']);
    const highest = Math.max(...Object.values(last.ids ?? {}).map((g) => g.version));
    for (const guest of Object.values(vmlist(c).ids ?? {})) expect(guest.version).toBeGreaterThan(highest);
    expect(online(a)).toBe('111');
    expect(statSync(c.host.path('/etc/pve/nodes/pve3/lxc')).mode & 0o200).toBe(0o200);
  });
});

describe('counters', () => {
  it('are those of one node and of one run', async () => {
    const [a, b] = cluster();
    await create(a, 120);
    const late = makeHost({ name: 'pve9', clusterDir: a.host.sharedDir });
    made.push(late);
    expect(vmlist(late).version).toBeLessThan(vmlist(a).version);
    const before = [a, b, late].map((node) => vmlist(node).ids?.['120']?.version ?? 0);
    await a.run('pct', 'set', '120', '--cores', '2');
    const after = [a, b, late].map((node) => vmlist(node).ids?.['120']?.version ?? 0);
    for (const [i, count] of after.entries()) expect(count).toBeGreaterThan(before[i] ?? 0);
    expect(after[2]).not.toBe(after[0]);
  });

  it('begin again, under a new start time, when the cluster file system was started again', async () => {
    const [a] = cluster();
    await create(a, 120);
    await create(a, 121);
    await a.run('pvesm', 'add', 'dir', 'sx', '--path', '/mnt/sx');
    const before = version(a);
    restartPmxcfs(a.host);
    const after = version(a);
    expect(after.starttime).toBeGreaterThan(before.starttime);
    expect([after.vmlist, after['storage.cfg'], after.kvstore['pve1'], after.kvstore['pve2']?.tasklist]).toEqual([
      1,
      1,
      {},
      0,
    ]);
    expect(Object.values(vmlist(a).ids ?? {}).map((g) => g.version)).toEqual([1, 2]);
    await a.run('pct', 'set', '121', '--cores', '2');
    expect(vmlist(a).ids?.['120']?.version).toBe(1);
    expect(vmlist(a).ids?.['121']?.version).toBeGreaterThan(2);
  });
});

describe('a node whose cluster file system is stopped', () => {
  const REFUSED =
    'ipcc_send_rec[1] failed: Connection refused\nipcc_send_rec[2] failed: Connection refused\nipcc_send_rec[3] failed: Connection refused\nUnable to load access control list: Connection refused\n';

  it('answers nothing from any tool that needs it, and comes back with its guests', async () => {
    const [a, , c] = cluster();
    await create(c, 273);
    await c.run('pct', 'start', '273');
    stopPmxcfs(c.host);
    for (const command of [
      ['pct', 'list'],
      ['pct', 'stop', '273'],
      ['qm', 'list'],
      ['pvesm', 'status'],
      ['pveam', 'list', 'local'],
      ['pvesh', 'get', '/cluster/nextid'],
    ])
      expect(await c.run(command[0] ?? '', ...command.slice(1))).toEqual({ status: 111, stdout: '', stderr: REFUSED });
    expect(readdirSync(c.host.path('/etc/pve'))).toEqual([]);
    expect(online(a)).toBe('110');
    startPmxcfs(c.host);
    expect((await c.run('pct', 'status', '273')).stdout).toBe('status: running\n');
    expect(version(c).vmlist).toBe(1);
    expect(online(a)).toBe('111');
  });
});
