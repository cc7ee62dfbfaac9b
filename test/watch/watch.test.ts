import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { restartPmxcfs } from '@pxmgr/sim/cluster/membership';
import { publishStopped } from '@pxmgr/sim/host/running';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Told, WatchedHost } from './watched-host.ts';

/** Far beyond the time in which a finished task may still be the author of what is seen. */
const LONG_MS = 3_600_000;

const authorOf = (cause: Told['cause']): string =>
  cause === undefined ? 'nobody known' : `${cause.upid.split(':')[5] ?? ''} ${cause.user}`;

const short = (told: readonly Told[]): string[] =>
  told.map(
    ({ id, container, cause }) =>
      `${id} ${container === undefined ? 'gone' : `${container.name} ${container.status}`} by ${authorOf(cause)}`,
  );

async function pair(): Promise<readonly [WatchedHost, WatchedHost]> {
  const clusterDir = mkdtempSync(join(tmpdir(), 'pxmgr-cluster-'));
  onTestFinished(() => {
    rmSync(clusterDir, { recursive: true, force: true });
  });
  const one = await WatchedHost.make({ name: 'pve1', clusterDir });
  return [one, await WatchedHost.make({ name: 'pve2', clusterDir })];
}

describe('in the next look, once and with its author, an agent sees', () => {
  it('what pct does', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    expect(short(await host.look())).toEqual(['101 CT101 stopped by vzcreate root@pam']);
    expect(await host.look()).toEqual([]);
    await host.pct('start', '101');
    expect(short(await host.look())).toEqual(['101 CT101 running by vzstart root@pam']);
    await host.pct('stop', '101');
    expect(short(await host.look())).toEqual(['101 CT101 stopped by vzstop root@pam']);
    await host.pct('destroy', '101');
    expect(short(await host.look())).toEqual(['101 gone by vzdestroy root@pam']);
    expect(await host.look()).toEqual([]);
  });

  it('pct set, which has no task, without the author of an earlier one', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    await host.look();
    await host.clock.advance(LONG_MS);
    await host.look();
    await host.pct('set', '101', '--hostname', 'web');
    expect(short(await host.look())).toEqual(['101 web stopped by nobody known']);
    expect(await host.look()).toEqual([]);
  });

  it('a configuration that was edited past the tools', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    await host.look();
    await host.clock.advance(LONG_MS);
    await host.look();
    appendFileSync(host.configFile(101), 'hostname: edited\n');
    host.noticeWrites();
    expect(short(await host.look())).toEqual(['101 edited stopped by nobody known']);
    expect(await host.look()).toEqual([]);
  });

  it('what another node of the cluster writes, and nothing of what is not its own', async () => {
    const [one, two] = await pair();
    await one.create(101);
    await two.create(102);
    expect([short(await one.look()), short(await two.look())]).toEqual([
      ['101 CT101 stopped by vzcreate root@pam'],
      ['102 CT102 stopped by vzcreate root@pam'],
    ]);
    for (const host of [one, two]) await host.clock.advance(LONG_MS);
    for (const host of [one, two]) await host.look();
    appendFileSync(one.configFile(101), 'hostname: far\n');
    two.noticeWrites();
    expect([short(await one.look()), await two.look()]).toEqual([['101 far stopped by nobody known'], []]);
    renameSync(one.configFile(101), one.configFile(101, 'pve2'));
    two.noticeWrites();
    expect([short(await one.look()), short(await two.look())]).toEqual([
      ['101 gone by nobody known'],
      ['101 far stopped by nobody known'],
    ]);
  });

  it('a guest that powers off by itself, without any task', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    await host.pct('start', '101');
    await host.look();
    await host.clock.advance(LONG_MS);
    await host.look();
    publishStopped(host.node.host, 101);
    expect(short(await host.look())).toEqual(['101 CT101 stopped by nobody known']);
    expect(await host.look()).toEqual([]);
  });

  it('each of 500 changes in a burst, none twice', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    const config = readFileSync(host.configFile(101), 'utf8').replace(/^hostname:.*\n/m, '');
    const vmids = Array.from({ length: 25 }, (_, index) => 101 + index);
    const seen: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      for (const vmid of vmids) writeFileSync(host.configFile(vmid), `${config}hostname: r${String(round)}\n`);
      host.noticeWrites();
      seen.push(...(await host.look()).map(({ id, container }) => `${id} ${container?.name ?? 'gone'}`));
    }
    expect(seen).toHaveLength(500);
    expect(new Set(seen).size).toBe(500);
    expect(await host.look()).toEqual([]);
  });
});

describe('nothing is told', () => {
  it('of a late write that changes nothing, as the hook after a stop makes it', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    await host.look();
    const before = readFileSync(host.node.host.path('/etc/pve/.vmlist'), 'utf8');
    const bytes = readFileSync(host.configFile(101));
    writeFileSync(`${host.configFile(101)}.tmp.1`, bytes);
    renameSync(`${host.configFile(101)}.tmp.1`, host.configFile(101));
    host.noticeWrites();
    expect(readFileSync(host.node.host.path('/etc/pve/.vmlist'), 'utf8')).not.toBe(before);
    expect(await host.look()).toEqual([]);
  });

  it('of a restart of the cluster file system, but of what changed with it', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    await host.create(102);
    await host.look();
    await host.clock.advance(LONG_MS);
    await host.look();
    restartPmxcfs(host.node.host);
    expect(await host.look()).toEqual([]);
    appendFileSync(host.configFile(102), 'hostname: meanwhile\n');
    host.noticeWrites();
    restartPmxcfs(host.node.host);
    expect(short(await host.look())).toEqual(['102 meanwhile stopped by nobody known']);
    expect(await host.look()).toEqual([]);
  });
});

describe('an agent', () => {
  it('that was away tells the present state as one, not as a change', async () => {
    const host = await WatchedHost.make();
    await host.create(101);
    await host.look();
    await host.pct('set', '101', '--hostname', 'away');
    await host.startAgent();
    expect(await host.look()).toMatchObject([{ id: '101', container: { name: 'away' }, resync: true }]);
    expect(await host.look()).toEqual([]);
  });

  it.each([
    ['cut off in the middle', (text: string) => text.slice(0, text.length / 2)],
    ['empty', () => ''],
    ['full of lines that nobody knows', (text: string) => `${text}frobnicate: 1\n!!!\n[half\nlxc.unknown.key: x\n`],
    ['binary', () => '\0\u0001\uFFFD\n\n::::\n'],
  ])('whose guest has a configuration %s still sees it and the others', async (_what, spoil) => {
    const host = await WatchedHost.make();
    await host.create(101);
    await host.create(102);
    await host.look();
    const whole = readFileSync(host.configFile(101), 'utf8');
    writeFileSync(host.configFile(101), spoil(whole));
    host.noticeWrites();
    appendFileSync(host.configFile(102), 'hostname: fine\n');
    host.noticeWrites();
    const told = await host.look();
    expect(told.every(({ container }) => container !== undefined)).toBe(true);
    expect(told.find(({ id }) => id === '102')?.container?.name).toBe('fine');
    writeFileSync(host.configFile(101), whole);
    host.noticeWrites();
    await host.look();
    await host.startAgent();
    const all = await host.look();
    expect(all.map(({ id, container }) => `${id} ${container?.name ?? 'gone'}`)).toEqual(['101 CT101', '102 fine']);
  });
});
